import type { Size } from '../imaging/geometry.ts';
import type { Rendition } from '../model/rendition.ts';
import type { NearMatch } from './find-near-duplicates.ts';

/** A rendition that an image would have of its own. */
type OwnRendition = Size & Pick<Rendition, 'preset' | 'recipe'>;

/** Roundings of two sizes of one picture may differ by this many pixels. */
const tolerance = 1;

/**
 * The near-duplicate whose renditions an image can show as its own: every one is made by the same recipe and is at
 * least as large, so that a small copy may borrow from a large one and never the other way round.
 */
export function chooseDonor(
  matches: readonly NearMatch[],
  own: readonly OwnRendition[],
  imageId: number,
): NearMatch | undefined {
  // From older to newer only: two images that borrow from each other would have no files at all.
  return matches.find(
    ({ id, renditions }) =>
      id < imageId && own.every((wanted) => renditions.some((lent) => replaces(lent, wanted))),
  );
}

function replaces(lent: Rendition, wanted: OwnRendition): boolean {
  return (
    lent.preset === wanted.preset &&
    lent.recipe === wanted.recipe &&
    lent.width + tolerance >= wanted.width &&
    lent.height + tolerance >= wanted.height
  );
}
