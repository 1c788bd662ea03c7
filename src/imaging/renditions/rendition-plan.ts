import type { Preset } from '../../model/preset.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';

/** How one rendition is made. */
export interface PlannedRendition {
  readonly preset: Preset;
  /** Exact size, computed from the source, so that roundings do not add up from step to step. */
  readonly size: Size;
  /** Index in the plan of the rendition whose pixels it is resized from; 0 may name itself: the decoded base. */
  readonly from: number;
}

/**
 * Plans the renditions of a picture, largest first: the first is the base, decoded at its size. Sizes with equal
 * proportions are ordered on both sides alike, whatever the boxes look like, so the base covers them all.
 */
export function planRenditions(source: Size, presets: readonly Preset[]): readonly PlannedRendition[] {
  const sized = presets
    .map((preset) => ({ preset, size: fitInside(source, preset) }))
    .sort((a, b) => b.size.width * b.size.height - a.size.width * a.size.height);
  return sized.map(({ preset, size }, index) => {
    const larger = sized.slice(0, index).map((entry) => entry.size);
    return { preset, size, from: smallestSource(larger, size) };
  });
}

/**
 * The smallest pixels that are at least twice as large, or the very size, else the base. Less than twice would blur:
 * a chain of small steps loses more than one step from the base costs.
 */
function smallestSource(larger: readonly Size[], size: Size): number {
  const index = larger.findLastIndex(
    (other) => (other.width === size.width && other.height === size.height) || isAsLargeAs(other, size, 2),
  );
  return Math.max(index, 0);
}
