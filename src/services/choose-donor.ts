import type { Size } from '../imaging/geometry.ts';
import type { Rendition } from '../model/rendition.ts';
import type { NearMatch } from './find-near-duplicates.ts';

/** A rendition that an image would have of its own. */
type OwnRendition = Size & Pick<Rendition, 'preset' | 'recipe'>;

/** The image's own renditions, used without a donor. */
export interface OwnPicture<Own extends OwnRendition> {
  readonly imageId: number;
  readonly hasAlpha: boolean;
  readonly renditions: readonly Own[];
}

/** One of the image's own renditions, and the donor's that could replace it. */
export interface SharablePair<Own extends OwnRendition> {
  readonly own: Own;
  readonly lent: Rendition;
}

/** A near-duplicate that could provide all of an image's renditions, if the pixels are the same. */
export interface PossibleDonor<Own extends OwnRendition> {
  readonly match: NearMatch;
  readonly pairs: readonly SharablePair<Own>[];
}

/** Roundings of two sizes of one picture may differ by this many pixels. */
const tolerance = 1;

/**
 * The near-duplicates that could provide all renditions of an image, according to their records: each made by the same
 * recipe, of the same size, and from an original that matches the image's own in having an alpha channel. Their pixels
 * have not been compared yet.
 */
export function possibleDonors<Own extends OwnRendition>(
  matches: readonly NearMatch[],
  { imageId, hasAlpha, renditions }: OwnPicture<Own>,
): PossibleDonor<Own>[] {
  return matches.flatMap((match) => {
    // Only from older to newer: if two images used each other's renditions, neither would have files.
    if (match.id >= imageId || match.hasAlpha !== hasAlpha) return [];
    const pairs = renditions.flatMap((own) => {
      const lent = match.renditions.find((rendition) => replaces(rendition, own));
      return lent ? [{ own, lent }] : [];
    });
    return pairs.length > 0 && pairs.length === renditions.length ? [{ match, pairs }] : [];
  });
}

function replaces(lent: Rendition, own: OwnRendition): boolean {
  return (
    lent.preset === own.preset &&
    lent.recipe === own.recipe &&
    Math.abs(lent.width - own.width) <= tolerance &&
    Math.abs(lent.height - own.height) <= tolerance
  );
}
