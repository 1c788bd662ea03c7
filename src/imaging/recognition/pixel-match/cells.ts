import type { Pixels } from '../../decoding/pixels.ts';
import type { Size } from '../../geometry.ts';

/** One number per cell of a picture, row by row. */
export interface Plane {
  readonly columns: number;
  readonly rows: number;
  readonly values: Float32Array;
}

/** A rectangle of cells. */
export interface CellRectangle {
  readonly column: number;
  readonly row: number;
  readonly columns: number;
  readonly rows: number;
}

/** Side of a cell in pixels. If the picture's width or height is not a multiple of this, some cells are larger. */
const cellSide = 4;

/** Means of a picture's cells on an 8-bit scale: luma, and the two chroma channels of JPEG, centred on 0. */
export interface CellMeans {
  readonly luma: Plane;
  readonly blue: Plane;
  readonly red: Plane;
}

/**
 * Returns the means of cells of 4 × 4 pixels in JPEG's colour space (JFIF 1.02: ITU-R BT.601, full range). Encoders
 * quantise in this space, so their noise is roughly uniform. CIE L*a*b* would magnify the noise in dark, saturated
 * areas.
 */
export function computeCellMeans({ data, width, height }: Pixels): CellMeans {
  const columnStarts = cellStarts(width);
  const rowStarts = cellStarts(height);
  const size = { columns: columnStarts.length - 1, rows: rowStarts.length - 1 };
  const makePlane = () => ({ ...size, values: new Float32Array(size.columns * size.rows) });
  const means = { luma: makePlane(), blue: makePlane(), red: makePlane() };
  for (let cell = 0; cell < means.luma.values.length; cell++) {
    const column = cell % size.columns;
    const row = Math.floor(cell / size.columns);
    const [left = 0, right = width] = [columnStarts[column], columnStarts[column + 1]];
    const [top = 0, bottom = height] = [rowStarts[row], rowStarts[row + 1]];
    let [red, green, blue] = [0, 0, 0];
    for (let y = top; y < bottom; y++) {
      const end = (y * width + right) * 3;
      for (let index = (y * width + left) * 3; index < end; index += 3) {
        red += data[index] ?? 0;
        green += data[index + 1] ?? 0;
        blue += data[index + 2] ?? 0;
      }
    }
    const count = (right - left) * (bottom - top);
    const luma = (0.299 * red + 0.587 * green + 0.114 * blue) / count;
    means.luma.values[cell] = luma;
    means.blue.values[cell] = 0.564 * (blue / count - luma);
    means.red.values[cell] = 0.713 * (red / count - luma);
  }
  return means;
}

/** Converts 8-bit sRGB values, three for each cell, to the colour space of `computeCellMeans`. */
export function convertToCells(values: Float32Array, { width, height }: Size): CellMeans {
  const makePlane = () => ({ columns: width, rows: height, values: new Float32Array(width * height) });
  const cells = { luma: makePlane(), blue: makePlane(), red: makePlane() };
  for (let cell = 0, index = 0; cell < width * height; cell++, index += 3) {
    const [red = 0, green = 0, blue = 0] = [values[index], values[index + 1], values[index + 2]];
    const luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    cells.luma.values[cell] = luma;
    cells.blue.values[cell] = 0.564 * (blue - luma);
    cells.red.values[cell] = 0.713 * (red - luma);
  }
  return cells;
}

/** Returns the first pixel of each cell along one dimension, followed by the end of the last cell. */
function cellStarts(length: number): Int32Array {
  const count = Math.max(1, Math.floor(length / cellSide));
  return Int32Array.from({ length: count + 1 }, (_, cell) => Math.floor((cell * length) / count));
}

/** Returns `b` minus `a`, cell by cell. Both planes have the same size. */
export function subtractPlanes(a: Plane, b: Plane): Plane {
  return { ...a, values: a.values.map((value, cell) => (b.values[cell] ?? 0) - value) };
}

/** Returns a function that computes the mean of a rectangle in constant time (summed-area table; Crow, 1984). */
export function makeMeanLookup({ columns, rows, values }: Plane): (rectangle: CellRectangle) => number {
  const width = columns + 1;
  const sums = new Float64Array(width * (rows + 1));
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let column = 0; column < columns; column++) {
      sum += values[row * columns + column] ?? 0;
      const index = (row + 1) * width + column + 1;
      sums[index] = sum + (sums[index - width] ?? 0);
    }
  }
  return (rectangle) => {
    const upper = rectangle.row * width + rectangle.column;
    const lower = upper + rectangle.rows * width;
    const right = rectangle.columns;
    const sum =
      (sums[lower + right] ?? 0) - (sums[lower] ?? 0) - (sums[upper + right] ?? 0) + (sums[upper] ?? 0);
    return sum / (rectangle.columns * rectangle.rows);
  };
}

/** Returns the difference between the largest and the smallest value in a rectangle and its adjacent cells. */
export function contrastAround({ columns, rows, values }: Plane, rectangle: CellRectangle): number {
  const right = Math.min(columns, rectangle.column + rectangle.columns + 1);
  const bottom = Math.min(rows, rectangle.row + rectangle.rows + 1);
  let [smallest, largest] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let row = Math.max(0, rectangle.row - 1); row < bottom; row++) {
    for (
      let index = row * columns + Math.max(0, rectangle.column - 1);
      index < row * columns + right;
      index++
    ) {
      const value = values[index] ?? 0;
      if (value < smallest) smallest = value;
      if (value > largest) largest = value;
    }
  }
  return largest - smallest;
}
