import type { Plane } from '../pixel-match/cells.ts';

/** Sums of the values above and to the left of each position (summed-area table; Crow, 1984). */
export interface SummedArea {
  /** Number of positions in a row: one more than the plane has columns. */
  readonly width: number;
  readonly sums: Float64Array;
}

/** Makes the table of a plane, or of the squares of its values. */
export function makeSummedArea({ columns, rows, values }: Plane, isSquared = false): SummedArea {
  const width = columns + 1;
  const sums = new Float64Array(width * (rows + 1));
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) {
      const value = values[row * columns + column] ?? 0;
      sum += isSquared ? value * value : value;
      const index = (row + 1) * width + column + 1;
      sums[index] = sum + (sums[index - width] ?? 0);
    }
  }
  return { width, sums };
}

/** Returns the mean of a square of the plane. */
export function meanOfSquare(
  { width, sums }: SummedArea,
  column: number,
  row: number,
  columns: number,
  rows: number,
): number {
  const upper = row * width + column;
  const lower = upper + rows * width;
  const sum =
    (sums[lower + columns] ?? 0) - (sums[lower] ?? 0) - (sums[upper + columns] ?? 0) + (sums[upper] ?? 0);
  return sum / (columns * rows);
}

/** Returns where the squares of `side` cells begin along a dimension. Neighbours overlap by half; the last one ends at the edge. */
export function squareStarts(length: number, side: number): Int32Array {
  const last = Math.max(0, length - side);
  const step = Math.max(1, side >> 1);
  return Int32Array.from({ length: Math.ceil(last / step) + 1 }, (_, index) => Math.min(last, index * step));
}
