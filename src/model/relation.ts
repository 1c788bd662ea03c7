/**
 * How two pictures may be related, from the closest: the same pixels; the same picture saved again; the same picture with an
 * edit; perhaps the same picture, for a person to decide; the same picture of another variant of the product.
 */
export const relationTiers = ['identical', 'reencoded', 'edited', 'possible', 'variant'] as const;

/** @see relationTiers */
export type RelationTier = (typeof relationTiers)[number];

/** The tiers whose images are near-duplicates. */
export const duplicateTiers: readonly RelationTier[] = ['identical', 'reencoded', 'edited'];
