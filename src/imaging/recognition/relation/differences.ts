import { type CellRectangle, type Plane, subtractPlanes } from '../pixel-match/cells.ts';
import {
  type Allowance,
  chromaContrast,
  computeAllowance,
  lumaContrast,
} from '../pixel-match/worst-block.ts';
import type { CellPair } from './cell-pair.ts';
import { makeSummedArea, meanOfSquare, squareStarts } from './summed-area.ts';

/** For each cell of two pictures, how much they differ there; at most 1 is what an edit of the same picture may cause. */
export interface Differences {
  /** Colour or lightness of a larger block. */
  readonly shade: Float32Array;
  /** Shapes: edges that only one of the pictures has. */
  readonly shape: Float32Array;
}

/**
 * How much the mean of a block may differ, by its side in cells. Measured on photographs of products that were saved as JPEG
 * at quality 25, scaled to an eighth, blurred, sharpened, padded or cropped: they differed by at most 70 % of this.
 */
const scales: readonly { side: number; luma: Allowance; chroma: Allowance }[] = [
  { side: 2, luma: { base: 24, slope: 0.7 }, chroma: { base: 16, slope: 0.9 } },
  { side: 4, luma: { base: 9, slope: 0.25 }, chroma: { base: 7.5, slope: 0.4 } },
  { side: 8, luma: { base: 5, slope: 0.12 }, chroma: { base: 4.8, slope: 0.2 } },
  { side: 16, luma: { base: 4, slope: 0.06 }, chroma: { base: 4, slope: 0.1 } },
  { side: 32, luma: { base: 3.5, slope: 0.04 }, chroma: { base: 3.5, slope: 0.08 } },
];

/** Side of the blocks whose shapes are compared, in cells: about the size of a printed digit. */
const shapeSide = 6;
/** Part of a block's contrast that may differ, after differences of up to `shapeNoise`. */
const maxShapeRatio = 0.52;
const shapeNoise = 3;
/** Added to the contrast, so that faint texture, which compression removes, does not count. */
const faintContrast = 4;

/** Compares two pictures block by block. */
export function findDifferences(pair: CellPair): Differences {
  return { shade: findShadeDifferences(pair), shape: findShapeDifferences(pair) };
}

function findShadeDifferences({ first, second }: CellPair): Float32Array {
  const plane = first.luma;
  const excess = new Float32Array(plane.values.length);
  const luma = makeSummedArea(subtractPlanes(first.luma, second.luma));
  const blue = makeSummedArea(subtractPlanes(first.blue, second.blue));
  const red = makeSummedArea(subtractPlanes(first.red, second.red));
  for (const { side, luma: lumaAllowance, chroma: chromaAllowance } of scales) {
    const [columns, rows] = [Math.min(side, plane.columns), Math.min(side, plane.rows)];
    for (const row of squareStarts(plane.rows, side)) {
      for (const column of squareStarts(plane.columns, side)) {
        const lightness = Math.abs(meanOfSquare(luma, column, row, columns, rows));
        const blueness = meanOfSquare(blue, column, row, columns, rows);
        const redness = meanOfSquare(red, column, row, columns, rows);
        const colour = Math.sqrt(blueness * blueness + redness * redness);
        // Contrast can only raise the allowance, so most blocks are skipped without computing their contrast.
        if (lightness <= lumaAllowance.base && colour <= chromaAllowance.base) continue;
        const square = { column, row, columns, rows };
        raise(
          excess,
          plane,
          square,
          Math.max(
            lightness / computeAllowance(lumaAllowance, lumaContrast(first, second, square)),
            colour / computeAllowance(chromaAllowance, chromaContrast(first, second, square)),
          ),
        );
      }
    }
  }
  return excess;
}

/** Compares the variation within each block: that of the difference with that of the picture that varies more. */
function findShapeDifferences({ first, second }: CellPair): Float32Array {
  const plane = first.luma;
  const excess = new Float32Array(plane.values.length);
  const spreads = [first.luma, second.luma, subtractPlanes(first.luma, second.luma)].map(makeSpread);
  const [spreadOfFirst, spreadOfSecond, spreadOfDifference] = spreads;
  if (!spreadOfFirst || !spreadOfSecond || !spreadOfDifference) return excess;
  const [columns, rows] = [Math.min(shapeSide, plane.columns), Math.min(shapeSide, plane.rows)];
  for (const row of squareStarts(plane.rows, shapeSide)) {
    for (const column of squareStarts(plane.columns, shapeSide)) {
      const difference = spreadOfDifference(column, row, columns, rows) - shapeNoise;
      if (difference <= 0) continue;
      const contrast = Math.max(
        spreadOfFirst(column, row, columns, rows),
        spreadOfSecond(column, row, columns, rows),
      );
      raise(
        excess,
        plane,
        { column, row, columns, rows },
        difference / (contrast + faintContrast) / maxShapeRatio,
      );
    }
  }
  return excess;
}

/** Returns a function that computes the standard deviation within a rectangle in constant time. */
function makeSpread(plane: Plane) {
  const [values, squares] = [makeSummedArea(plane), makeSummedArea(plane, true)];
  return (column: number, row: number, columns: number, rows: number) => {
    const mean = meanOfSquare(values, column, row, columns, rows);
    return Math.sqrt(Math.max(0, meanOfSquare(squares, column, row, columns, rows) - mean * mean));
  };
}

function raise(excess: Float32Array, { columns }: Plane, rectangle: CellRectangle, value: number): void {
  if (value <= 1) return;
  for (let row = rectangle.row; row < rectangle.row + rectangle.rows; row++) {
    const start = row * columns + rectangle.column;
    for (let cell = start; cell < start + rectangle.columns; cell++)
      if (value > (excess[cell] ?? 0)) excess[cell] = value;
  }
}
