import type { Size } from '../../geometry.ts';
import type { CellRectangle } from '../pixel-match/cells.ts';

/** Cells that touch each other and in which two pictures differ. */
export interface Region {
  readonly cells: readonly number[];
  readonly bounds: CellRectangle;
}

/** Cells that are no further apart than this belong to the same region, so that a word is one region. */
const reach = 3;

/** Finds the regions of the cells for which `isDifferent` is 1, largest first. */
export function findRegions(isDifferent: Uint8Array, { width, height }: Size): Region[] {
  const isVisited = new Uint8Array(isDifferent.length);
  const regions: Region[] = [];
  for (let start = 0; start < isDifferent.length; start++) {
    if (isDifferent[start] === 0 || isVisited[start] === 1) continue;
    isVisited[start] = 1;
    const cells = [start];
    for (let next = 0; next < cells.length; next++) {
      const cell = cells[next] ?? 0;
      const [column, row] = [cell % width, Math.floor(cell / width)];
      for (let y = Math.max(0, row - reach); y <= Math.min(height - 1, row + reach); y++) {
        for (let x = Math.max(0, column - reach); x <= Math.min(width - 1, column + reach); x++) {
          const neighbour = y * width + x;
          if (isDifferent[neighbour] === 0 || isVisited[neighbour] === 1) continue;
          isVisited[neighbour] = 1;
          cells.push(neighbour);
        }
      }
    }
    regions.push({ cells, bounds: findBounds(cells, width) });
  }
  return regions.toSorted((a, b) => b.cells.length - a.cells.length);
}

/** Returns the smallest rectangle that contains all cells. */
export function findBounds(cells: readonly number[], width: number): CellRectangle {
  let [left, top, right, bottom] = [width, Number.POSITIVE_INFINITY, 0, 0];
  for (const cell of cells) {
    const [column, row] = [cell % width, Math.floor(cell / width)];
    left = Math.min(left, column);
    right = Math.max(right, column);
    top = Math.min(top, row);
    bottom = Math.max(bottom, row);
  }
  return { column: left, row: top, columns: right - left + 1, rows: bottom - top + 1 };
}
