/** One number for each cell of a picture, row by row. */
export interface Plane {
  readonly columns: number;
  readonly rows: number;
  readonly values: Float32Array;
}

/** A rectangle of cells. */
export interface CellFrame {
  readonly column: number;
  readonly row: number;
  readonly columns: number;
  readonly rows: number;
}

/** `b` minus `a`, cell by cell; both have the same size. */
export function differenceOf(a: Plane, b: Plane): Plane {
  return { ...a, values: a.values.map((value, cell) => (b.values[cell] ?? 0) - value) };
}

/** Means of rectangles in constant time, from a summed-area table (Crow, 1984). */
export function makeMeans({ columns, rows, values }: Plane): (frame: CellFrame) => number {
  const width = columns + 1;
  const sums = new Float64Array(width * (rows + 1));
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) {
      sum += values[row * columns + column] ?? 0;
      const at = (row + 1) * width + column + 1;
      sums[at] = sum + (sums[at - width] ?? 0);
    }
  }
  return (frame) => {
    const upper = frame.row * width + frame.column;
    const lower = upper + frame.rows * width;
    const right = frame.columns;
    const sum =
      (sums[lower + right] ?? 0) - (sums[lower] ?? 0) - (sums[upper + right] ?? 0) + (sums[upper] ?? 0);
    return sum / (frame.columns * frame.rows);
  };
}

/** The largest minus the smallest value in a rectangle and one cell around it. */
export function contrastIn({ columns, rows, values }: Plane, frame: CellFrame): number {
  const right = Math.min(columns, frame.column + frame.columns + 1);
  const bottom = Math.min(rows, frame.row + frame.rows + 1);
  let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let row = Math.max(0, frame.row - 1); row < bottom; row++) {
    for (let at = row * columns + Math.max(0, frame.column - 1); at < row * columns + right; at++) {
      const value = values[at] ?? 0;
      if (value < smallest) smallest = value;
      if (value > largest) largest = value;
    }
  }
  return largest - smallest;
}
