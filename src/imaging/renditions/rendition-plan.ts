import type { Preset, Variant } from '../../model/preset.ts';
import { isAsLargeAs, type Size } from '../geometry.ts';

/** Renditions with the same pixels in one or more formats. */
export interface Shape {
  readonly preset: Preset;
  readonly density: number;
  readonly variants: readonly Variant[];
}

/** Groups variants that differ only in their format. */
export function groupByShape(variants: readonly Variant[]): Shape[] {
  const groups = Map.groupBy(variants, ({ preset, density }) => `${preset.name}@${density}`);
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    return first === undefined ? [] : [{ preset: first.preset, density: first.density, variants: group }];
  });
}

/** A scaled copy of the whole picture. */
export interface PlannedLayer {
  readonly size: Size;
  /** Index in the plan of the layer to resize from; `undefined` for the base. */
  readonly sourceIndex: number | undefined;
}

/**
 * Plans scaled copies of a picture, largest first and without duplicates. The picture is decoded once, at the size of the
 * base. All sizes have the picture's aspect ratio.
 * @param maxSource size of the picture. Larger copies are enlarged, so no others are made from them.
 */
export function planLayers(sizes: readonly Size[], maxSource: Size): readonly PlannedLayer[] {
  const uniqueSizes = [...new Map(sizes.map((size) => [`${size.width}x${size.height}`, size])).values()];
  const sortedSizes = uniqueSizes.toSorted((a, b) => b.width * b.height - a.width * a.height);
  return sortedSizes.map((size, index) => {
    // A smaller factor would blur the picture, because several small resizes lose more detail than one large resize.
    const sourceIndex = sortedSizes
      .slice(0, index)
      .findLastIndex((larger) => isAsLargeAs(maxSource, larger) && isAsLargeAs(larger, size, 2));
    return { size, sourceIndex: sourceIndex < 0 ? undefined : sourceIndex };
  });
}

/** Returns the smallest size that is as wide and as high as each of `sizes`, but at most `max`. */
export function coveringSize(sizes: readonly Size[], max: Size): Size {
  return {
    width: Math.min(max.width, Math.max(...sizes.map(({ width }) => width))),
    height: Math.min(max.height, Math.max(...sizes.map(({ height }) => height))),
  };
}
