import { duplicateTiers, type PictureBox, type RelationTier } from './relation.ts';

/** Whether pairs of this tier are near-duplicates. The pictures of other pairs may show different things. */
export function isDuplicateTier(tier: RelationTier): boolean {
  return duplicateTiers.includes(tier);
}

/** What a person decided about a pair: it is one picture, different pictures, or variants of one product. */
export const duplicateVerdicts = ['same', 'different', 'variant'] as const;

/** @see duplicateVerdicts */
export type DuplicateVerdict = (typeof duplicateVerdicts)[number];

/**
 * Returns the tier under which a pair is shown; `undefined` if it is not shown. The column `near_duplicates.shown_tier` follows
 * the same rule.
 * @param tier what the search found
 */
export function showTier(tier: RelationTier, verdict: DuplicateVerdict | null): RelationTier | undefined {
  if (verdict === 'different') return undefined;
  if (verdict === 'variant') return 'variant';
  return verdict === 'same' && !isDuplicateTier(tier) ? 'edited' : tier;
}

/** Leaves out the pairs that a verdict hides, and gives the others the tier under which they are shown. */
export function showPairs<
  Pair extends { readonly tier: RelationTier; readonly verdict: DuplicateVerdict | null },
>(pairs: readonly Pair[]): Pair[] {
  return pairs.flatMap((pair) => {
    const tier = showTier(pair.tier, pair.verdict);
    return tier === undefined ? [] : [{ ...pair, tier }];
  });
}

/** A verdict on two images, which applies to all images with their contents. */
export interface PairVerdict {
  readonly verdict: DuplicateVerdict;
  /** Who decided, as in the audit log. */
  readonly decidedBy: string;
  readonly decidedAt: Date;
}

/** An image of a group, and how it matches the representative. */
export interface GroupMember<Picture> {
  readonly image: Picture;
  /** `null` for the representative itself. */
  readonly match: {
    readonly tier: RelationTier;
    readonly distance: number | null;
    readonly difference: number | null;
    readonly reason: string;
    readonly verdict: DuplicateVerdict | null;
    readonly edit: string | null;
    readonly box: PictureBox | null;
  } | null;
}

/** A representative and the images that match it. */
export interface DuplicateGroup<Picture> {
  readonly id: number;
  readonly tenant: string;
  /** The weakest tier of its members. */
  readonly tier: RelationTier;
  /** Number of images, including the representative and those that are not listed in `members`. */
  readonly size: number;
  /** The representative, followed by the oldest of the other images. */
  readonly members: readonly GroupMember<Picture>[];
}

/** What became of an image that a resolved group no longer needs. */
export interface DiscardedImage {
  readonly id: number;
  readonly uuid: string;
  /** Number of its references that the kept image did not have. */
  readonly movedReferences: number;
  /** Whether an earlier request had already discarded it. */
  readonly wasDiscarded: boolean;
}
