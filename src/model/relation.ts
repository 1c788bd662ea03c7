/**
 * How two pictures may be related, from the closest: the same pixels; the same picture saved again; the same picture with an
 * edit; perhaps the same picture, for a person to decide; the same picture of another variant of the product.
 */
export const relationTiers = ['identical', 'reencoded', 'edited', 'possible', 'variant'] as const;

/** @see relationTiers */
export type RelationTier = (typeof relationTiers)[number];

/** The tiers whose images are near-duplicates. */
export const duplicateTiers: readonly RelationTier[] = ['identical', 'reencoded', 'edited'];

/** Edits that turn one picture into another, in the order in which they are named. */
export const pictureEdits = [
  'mirrored',
  'padded',
  'trimmed',
  'cropped',
  'brightness',
  'badge',
  'filtered',
] as const;

/** @see pictureEdits */
export type PictureEdit = (typeof pictureEdits)[number];

/** A part of a picture, as fractions of its width and height. */
export interface PictureBox {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** How two pictures are related. */
export interface Relation {
  readonly tier: RelationTier;
  /** The edits, joined by `+`, such as `mirrored+padded`; `null` if there are none. */
  readonly edit: string | null;
  /** The part of the newer picture that differs; `null` if no part stands out. */
  readonly box: PictureBox | null;
  /** Mean colour difference (CIE ΔE) between corresponding pixels. */
  readonly difference: number;
  /** Why the pictures are related in this way, as a clause. */
  readonly reason: string;
}
