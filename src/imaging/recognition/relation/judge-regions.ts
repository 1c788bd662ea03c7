import type { Size } from '../../geometry.ts';
import type { CellRectangle } from '../pixel-match/cells.ts';
import type { EdgeMap } from './edge-map.ts';
import type { Region } from './regions.ts';

/**
 * What a region shows: the same shapes in another colour, or only with more or less contrast; another detail (such as a digit), or something that was laid over one
 * of the pictures: at its edge, like a badge, or elsewhere.
 */
export type RegionKind = 'recoloured' | 'contrast' | 'detail' | 'badge' | 'overlay';

/** Correlation of the edges from which the shapes are the same. */
const minShapeAgreement = 0.6;
/** Correlation of the edges from which only the contrast may differ. */
const minContrastAgreement = 0.85;
/** Cells around a region in which its outline can be seen. */
const outline = 2;
/** Spread of the colours of a plain area (8-bit scale). */
const maxPlainSpread = 9;
/** Part of the cells that a plain region covers if the whole picture is plain. */
const minSwatchShare = 0.5;
/** Part of the differences that must have the same sign for something to have been laid over a picture with structure. */
const minReplacement = 0.8;
/** Largest part of the picture that a badge covers. */
const maxBadgeArea = 0.12;
/** A badge begins at most this far from an edge of the picture, or lies on the plain background. */
const maxBadgeDistance = 0.06;
/** A badge lies outside the centre of the picture, which begins at this fraction of its sides. */
const centreStart = 0.32;

/** One value for each of two pictures. */
export interface Both<Value> {
  readonly first: Value;
  readonly second: Value;
}

/** Decides what a region of two aligned pictures shows. The pictures have three values per cell. */
export function judgeRegion(
  region: Region,
  size: Size,
  { first, second }: Both<Float32Array>,
  edges: Both<EdgeMap>,
  isShaded: Uint8Array,
): RegionKind {
  const agreement = correlate(edges.first, edges.second, addOutline(region, size));
  if (agreement >= minShapeAgreement) {
    if (region.cells.some((cell) => isShaded[cell] === 1)) return 'recoloured';
    return agreement >= minContrastAgreement ? 'contrast' : 'detail';
  }
  const plainSides = [first, second].filter(
    (picture) => measureSpread(picture, region.cells) <= maxPlainSpread,
  );
  // A swatch has no edges at all.
  if (plainSides.length === 2 && region.cells.length > size.width * size.height * minSwatchShare)
    return 'recoloured';
  const isReplaced = measureReplacement(first, second, region.cells) >= minReplacement;
  if (plainSides.length === 0 && !isReplaced) return 'detail';
  return isPlacedLikeBadge(region.bounds, size) ? 'badge' : 'overlay';
}

/** Returns the cells of a region, and those around it in which its outline can be seen. */
function addOutline({ cells }: Region, { width, height }: Size): number[] {
  const all = new Set<number>();
  for (const cell of cells) {
    const [column, row] = [cell % width, Math.floor(cell / width)];
    for (let y = Math.max(0, row - outline); y <= Math.min(height - 1, row + outline); y++) {
      for (let x = Math.max(0, column - outline); x <= Math.min(width - 1, column + outline); x++)
        all.add(y * width + x);
    }
  }
  return [...all];
}

/** Returns the correlation of two maps over some cells; 0 if one of them has no edges there. */
function correlate(a: EdgeMap, b: EdgeMap, cells: readonly number[]): number {
  let [sumA, sumB, sumAa, sumBb, sumAb] = [0, 0, 0, 0, 0];
  for (const cell of cells) {
    const [x, y] = [a.values[cell] ?? 0, b.values[cell] ?? 0];
    sumA += x;
    sumB += y;
    sumAa += x * x;
    sumBb += y * y;
    sumAb += x * y;
  }
  const varianceA = sumAa - (sumA * sumA) / cells.length;
  const varianceB = sumBb - (sumB * sumB) / cells.length;
  const covariance = sumAb - (sumA * sumB) / cells.length;
  return varianceA > 0 && varianceB > 0 ? covariance / Math.sqrt(varianceA * varianceB) : 0;
}

/** Returns the standard deviation of the colours of some cells, in the channel in which it is largest. */
function measureSpread(values: Float32Array, cells: readonly number[]): number {
  return Math.max(
    ...[0, 1, 2].map((channel) => {
      let [sum, squares] = [0, 0];
      for (const cell of cells) {
        const value = values[cell * 3 + channel] ?? 0;
        sum += value;
        squares += value * value;
      }
      return Math.sqrt(Math.max(0, squares / cells.length - (sum / cells.length) ** 2));
    }),
  );
}

/**
 * Returns how much of the difference has the same sign, from 0 to 1, in the channel in which it is largest. Where a digit has been
 * changed, as much ink disappears as is added; a badge replaces everything by its own colour.
 */
function measureReplacement(first: Float32Array, second: Float32Array, cells: readonly number[]): number {
  let [largest, replacement] = [0, 0];
  for (let channel = 0; channel < 3; channel++) {
    let [sum, sumOfSizes] = [0, 0];
    for (const cell of cells) {
      const difference = (first[cell * 3 + channel] ?? 0) - (second[cell * 3 + channel] ?? 0);
      sum += difference;
      sumOfSizes += Math.abs(difference);
    }
    if (sumOfSizes > largest) [largest, replacement] = [sumOfSizes, Math.abs(sum) / sumOfSizes];
  }
  return replacement;
}

function isPlacedLikeBadge({ column, row, columns, rows }: CellRectangle, { width, height }: Size): boolean {
  const [left, right] = [column / width, (column + columns) / width];
  const [top, bottom] = [row / height, (row + rows) / height];
  const isOutsideCentre =
    right <= centreStart || left >= 1 - centreStart || bottom <= centreStart || top >= 1 - centreStart;
  const distance = Math.min(left, top, 1 - right, 1 - bottom);
  return isOutsideCentre && distance <= maxBadgeDistance && (right - left) * (bottom - top) <= maxBadgeArea;
}
