import type { EdgeMap } from './edge-map.ts';
import { findOverlap, type Placement } from './placement.ts';

/** A placement, and how well the edges of the two pictures then agree: their correlation, at most 1. */
export interface Alignment {
  readonly placement: Placement;
  readonly agreement: number;
}

/** Most steps at each resolution. */
const maxSteps = 8;
/** Steps smaller than this, in pixels of the map, end the search. */
const minStep = 0.02;
/** Least number of pixels that two maps must have in common. */
const minPixels = 64;

/**
 * Improves a placement at each resolution in turn, from the coarsest to the finest, by Gauss–Newton steps of a least-squares
 * fit. Source: Lucas, Kanade, "An iterative image registration technique with an application to stereo vision", 1981.
 * @param first edge maps of the first picture, coarsest first; `second` has the corresponding ones
 */
export function refinePlacement(
  first: readonly EdgeMap[],
  second: readonly EdgeMap[],
  placement: Placement,
): Alignment {
  let best: Alignment = { placement, agreement: 0 };
  for (const [level, map] of first.entries()) {
    const other = second[level] ?? map;
    let next = best.placement;
    best = { placement: next, agreement: Number.NEGATIVE_INFINITY };
    for (let step = 0; step <= maxSteps; step++) {
      const { agreement, change } = evaluate(map, other, next);
      if (!(agreement > best.agreement)) break;
      best = { placement: next, agreement };
      if (change === undefined || largestStep(change, other) < minStep) break;
      next = {
        scaleX: next.scaleX + change.scaleX,
        shiftX: next.shiftX + change.shiftX,
        scaleY: next.scaleY + change.scaleY,
        shiftY: next.shiftY + change.shiftY,
      };
    }
  }
  return best;
}

/** Returns the correlation of two edge maps over the part that they have in common; 0 if there is hardly any. */
export function measureAgreement(first: EdgeMap, second: EdgeMap, placement: Placement): number {
  return evaluate(first, second, placement).agreement;
}

function largestStep({ scaleX, shiftX, scaleY, shiftY }: Placement, { width, height }: EdgeMap): number {
  return Math.max(
    (Math.abs(scaleX) + Math.abs(shiftX)) * width,
    (Math.abs(scaleY) + Math.abs(shiftY)) * height,
  );
}

/** Sums over the pixels that two maps have in common. `a` is the value of the first map, and `b` that of the second. */
interface Sums {
  count: number;
  a: number;
  b: number;
  aa: number;
  bb: number;
  ab: number;
  /** Upper half of the matrix of the normal equations (4 × 4), row by row, and their right side. */
  readonly matrix: Float64Array;
  readonly vector: Float64Array;
}

/**
 * Compares the maps at a placement, over the pixels of the first map that lie in the second. Returns the correlation, and the
 * change of the placement that reduces the squared differences most; `undefined` if it is not determined.
 */
function evaluate(first: EdgeMap, second: EdgeMap, placement: Placement) {
  const { first: area } = findOverlap(placement);
  const columns = lookUpColumns(first, second, placement, area.left, area.left + area.width);
  const sums = {
    count: 0,
    a: 0,
    b: 0,
    aa: 0,
    bb: 0,
    ab: 0,
    matrix: new Float64Array(16),
    vector: new Float64Array(4),
  };
  const rowEnd = Math.floor((area.top + area.height) * first.height);
  for (let row = Math.ceil(area.top * first.height); row < rowEnd; row++)
    addRow(sums, first, second, placement, columns, row);
  const varianceA = sums.aa - (sums.a * sums.a) / sums.count;
  const varianceB = sums.bb - (sums.b * sums.b) / sums.count;
  const covariance = sums.ab - (sums.a * sums.b) / sums.count;
  const isComparable = sums.count > minPixels && varianceA > 0 && varianceB > 0;
  const change = solve(sums);
  return { agreement: isComparable ? covariance / Math.sqrt(varianceA * varianceB) : 0, change };
}

/** Adds the pixels of one row. The second map is interpolated; its slopes are per whole width and height. */
function addRow(
  sums: Sums,
  first: EdgeMap,
  { width, height, values }: EdgeMap,
  { scaleY, shiftY }: Placement,
  { lefts, offsets, start, end }: ColumnLookup,
  row: number,
): void {
  const y = (row + 0.5) / first.height;
  const otherY = (scaleY * y + shiftY) * height - 0.5;
  const top = Math.max(0, Math.min(height - 2, Math.floor(otherY)));
  const down = otherY - top;
  let [a, b, aa, bb, ab, xx, xx1, xx11, yy, xy, xy1, xd, xd1, yd] = [
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ];
  for (let column = start; column < end; column++) {
    const x = (column + 0.5) / first.width;
    const index = top * width + (lefts[column] ?? 0);
    const across = offsets[column] ?? 0;
    const nw = values[index] ?? 0;
    const ne = values[index + 1] ?? 0;
    const sw = values[index + width] ?? 0;
    const se = values[index + width + 1] ?? 0;
    const north = nw + across * (ne - nw);
    const difference = sw + across * (se - sw) - north;
    const slopeX = (ne - nw + down * (se - sw - ne + nw)) * width;
    const slopeY = difference * height;
    const value = first.values[row * first.width + column] ?? 0;
    const other = north + down * difference;
    a += value;
    b += other;
    aa += value * value;
    bb += other * other;
    ab += value * other;
    const squared = slopeX * slopeX;
    xx += squared;
    xx1 += squared * x;
    xx11 += squared * x * x;
    yy += slopeY * slopeY;
    xy += slopeX * slopeY;
    xy1 += slopeX * slopeY * x;
    xd += slopeX * (value - other);
    xd1 += slopeX * (value - other) * x;
    yd += slopeY * (value - other);
  }
  sums.count += Math.max(0, end - start);
  sums.a += a;
  sums.b += b;
  sums.aa += aa;
  sums.bb += bb;
  sums.ab += ab;
  addTo(sums.matrix, [xx11, xx1, xy1 * y, xy1, 0, xx, xy * y, xy, 0, 0, yy * y * y, yy * y, 0, 0, 0, yy]);
  addTo(sums.vector, [xd1, xd, yd * y, yd]);
}

function addTo(target: Float64Array, values: readonly number[]): void {
  for (const [index, value] of values.entries()) target[index] = (target[index] ?? 0) + value;
}

/** For each column of the first map: the column of the second map that lies left of it, and how far away. */
interface ColumnLookup {
  readonly lefts: Int32Array;
  readonly offsets: Float64Array;
  /** The first column that lies in the second map, and the one after the last. */
  readonly start: number;
  readonly end: number;
}

function lookUpColumns(
  first: EdgeMap,
  { width }: EdgeMap,
  { scaleX, shiftX }: Placement,
  left: number,
  right: number,
): ColumnLookup {
  const lefts = new Int32Array(first.width);
  const offsets = new Float64Array(first.width);
  for (let column = 0; column < first.width; column++) {
    const position = (scaleX * ((column + 0.5) / first.width) + shiftX) * width - 0.5;
    lefts[column] = Math.max(0, Math.min(width - 2, Math.floor(position)));
    offsets[column] = position - (lefts[column] ?? 0);
  }
  return { lefts, offsets, start: Math.ceil(left * first.width), end: Math.floor(right * first.width) };
}

/** Solves the equations (Gaussian elimination). Returns `undefined` if they are singular. */
function solve({ matrix, vector }: Pick<Sums, 'matrix' | 'vector'>): Placement | undefined {
  const size = vector.length;
  for (let i = 0; i < size; i++) for (let j = 0; j < i; j++) matrix[i * size + j] = matrix[j * size + i] ?? 0;
  for (let pivot = 0; pivot < size; pivot++) {
    const diagonal = matrix[pivot * size + pivot] ?? 0;
    // The matrix is symmetric and positive, so no rows need to be exchanged.
    if (!(diagonal > 1e-9)) return undefined;
    for (let row = pivot + 1; row < size; row++) {
      const factor = (matrix[row * size + pivot] ?? 0) / diagonal;
      for (let column = pivot; column < size; column++)
        matrix[row * size + column] =
          (matrix[row * size + column] ?? 0) - factor * (matrix[pivot * size + column] ?? 0);
      vector[row] = (vector[row] ?? 0) - factor * (vector[pivot] ?? 0);
    }
  }
  for (let row = size - 1; row >= 0; row--) {
    let sum = vector[row] ?? 0;
    for (let column = row + 1; column < size; column++)
      sum -= (matrix[row * size + column] ?? 0) * (vector[column] ?? 0);
    vector[row] = sum / (matrix[row * size + row] ?? 1);
  }
  const [scaleX = 0, shiftX = 0, scaleY = 0, shiftY = 0] = vector;
  return { scaleX, shiftX, scaleY, shiftY };
}
