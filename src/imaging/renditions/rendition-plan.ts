import type { Preset } from '../../model/preset.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';

/** How to make a rendition. */
export interface PlannedRendition {
  readonly preset: Preset;
  /** Exact size, computed from the original so that rounding errors do not accumulate. */
  readonly size: Size;
  /** Index in the plan of the rendition to resize from. For the first rendition (the base), this is its own index. */
  readonly sourceIndex: number;
}

/**
 * Plans a picture's renditions, largest first. The picture is decoded at the size of the first rendition, which is
 * called the base. All sizes have the picture's proportions, so the base is at least as wide and as high as every other
 * rendition.
 */
export function planRenditions(source: Size, presets: readonly Preset[]): readonly PlannedRendition[] {
  const sortedRenditions = presets
    .map((preset) => ({ preset, size: fitInside(source, preset) }))
    .sort((a, b) => b.size.width * b.size.height - a.size.width * a.size.height);
  return sortedRenditions.map(({ preset, size }, index) => {
    const largerSizes = sortedRenditions.slice(0, index).map((rendition) => rendition.size);
    return { preset, size, sourceIndex: smallestSourceIndex(largerSizes, size) };
  });
}

/**
 * Returns the index of the smallest rendition that has the same size or is at least twice as large. If there is none,
 * returns the index of the base. A smaller factor would blur the picture, because several small resizes lose more
 * detail than one large resize.
 */
function smallestSourceIndex(largerSizes: readonly Size[], size: Size): number {
  const index = largerSizes.findLastIndex(
    (larger) =>
      (larger.width === size.width && larger.height === size.height) || isAsLargeAs(larger, size, 2),
  );
  return Math.max(index, 0);
}
