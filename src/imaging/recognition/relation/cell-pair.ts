import type { Size } from '../../geometry.ts';
import { type CellMeans, convertToCells, type Plane } from '../pixel-match/cells.ts';

/** The cells of two aligned pictures. */
export interface CellPair {
  readonly size: Size;
  readonly first: CellMeans;
  readonly second: CellMeans;
}

/** Most times that the sharper picture is blurred. Eight times correspond to a blur by 1.4 cells (standard deviation). */
const maxBlurs = 8;

/**
 * Makes a pair from three values per cell, and blurs the sharper picture until it is as sharp as the other one. A copy that
 * has been enlarged, blurred or sharpened then differs no more than by its compression.
 */
export function makeCellPair(first: Float32Array, second: Float32Array, size: Size): CellPair {
  const [a, b] = [convertToCells(first, size), convertToCells(second, size)];
  const firstBlurs = countBlurs(a.luma, b.luma);
  const secondBlurs = firstBlurs > 0 ? 0 : countBlurs(b.luma, a.luma);
  return { size, first: blurCells(a, firstBlurs), second: blurCells(b, secondBlurs) };
}

/** Returns how often a plane has to be blurred until it is as sharp as the other one. */
function countBlurs(plane: Plane, other: Plane): number {
  let [blurs, least, current] = [0, measureEnergy(plane, other), plane];
  while (blurs < maxBlurs) {
    current = blurPlane(current);
    const energy = measureEnergy(current, other);
    if (!(energy < least)) break;
    [blurs, least] = [blurs + 1, energy];
  }
  return blurs;
}

/** Differences beyond this do not count, because they are not caused by blurring. */
const maxDifference = 24;

function measureEnergy({ values: a }: Plane, { values: b }: Plane): number {
  let energy = 0;
  for (let cell = 0; cell < a.length; cell++) {
    const difference = (a[cell] ?? 0) - (b[cell] ?? 0);
    energy += Math.min(difference * difference, maxDifference * maxDifference);
  }
  return energy;
}

function blurCells(cells: CellMeans, blurs: number): CellMeans {
  let result = cells;
  for (let blur = 0; blur < blurs; blur++)
    result = { luma: blurPlane(result.luma), blue: blurPlane(result.blue), red: blurPlane(result.red) };
  return result;
}

/** Blurs with the weights 1, 6, 1 across and down. */
function blurPlane({ columns, rows, values }: Plane): Plane {
  const across = new Float32Array(values.length);
  const result = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const index = row * columns + column;
      const before = values[column > 0 ? index - 1 : index] ?? 0;
      const after = values[column + 1 < columns ? index + 1 : index] ?? 0;
      across[index] = (before + 6 * (values[index] ?? 0) + after) / 8;
    }
  }
  for (let index = 0; index < across.length; index++) {
    const above = across[index >= columns ? index - columns : index] ?? 0;
    const below = across[index + columns < across.length ? index + columns : index] ?? 0;
    result[index] = (above + 6 * (across[index] ?? 0) + below) / 8;
  }
  return { columns, rows, values: result };
}
