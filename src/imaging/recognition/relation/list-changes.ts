import type { Size } from '../../geometry.ts';
import { type Comparison, compareCells } from './compare-cells.ts';
import { findEdges } from './edge-map.ts';
import { judgeRegion, type RegionKind } from './judge-regions.ts';
import { findBounds, findRegions, type Region } from './regions.ts';

/** A part in which two pictures differ, and what it shows. */
export interface Change {
  readonly region: Region;
  readonly kind: RegionKind;
}

/** Most times that the pictures are compared again without the changes found so far. */
const maxRounds = 3;
/** Part of a region's largest difference that its cells reach. Blocks extend beyond what has changed. */
const minRelativeDifference = 0.3;
/** Cells this close to a change are affected by its edges. */
const halo = 3;

/**
 * Lists what has changed between two pictures. After a badge or another overlay has been found, compares the pictures again without
 * it, because its large difference hides smaller ones around it: a product may have been recoloured as well.
 */
export function listChanges(comparison: Comparison, size: Size): readonly Change[] {
  const changes: Change[] = [];
  let current = comparison;
  for (let round = 0; round < maxRounds && current.share > 0; round++) {
    const { first, second } = current;
    const edges = { first: findEdges(first, size), second: findEdges(second, size) };
    for (const { cells } of findRegions(current.isDifferent, size)) {
      const region = keepStrongest(cells, first, second, size);
      changes.push({ region, kind: judgeRegion(region, size, { first, second }, edges, current.isShaded) });
    }
    if (changes.some(({ kind }) => kind === 'recoloured' || kind === 'detail')) break;
    const masked = first.slice();
    for (const { region } of changes) for (const cell of region.cells) copyAround(masked, second, cell, size);
    current = compareCells(masked, second, size);
  }
  return changes;
}

function keepStrongest(
  cells: readonly number[],
  first: Float32Array,
  second: Float32Array,
  { width }: Size,
): Region {
  const differences = Float32Array.from(cells, (cell) => measureDifference(first, second, cell));
  const largest = differences.reduce((max, value) => Math.max(max, value), 0);
  const strongest = cells.filter((_, index) => (differences[index] ?? 0) >= largest * minRelativeDifference);
  return { cells: strongest, bounds: findBounds(strongest, width) };
}

/** Returns the difference of a cell in the channel in which it is largest. */
function measureDifference(first: Float32Array, second: Float32Array, cell: number): number {
  let largest = 0;
  for (let index = cell * 3; index < cell * 3 + 3; index++)
    largest = Math.max(largest, Math.abs((first[index] ?? 0) - (second[index] ?? 0)));
  return largest;
}

function copyAround(target: Float32Array, source: Float32Array, cell: number, { width, height }: Size): void {
  const [column, row] = [cell % width, Math.floor(cell / width)];
  for (let y = Math.max(0, row - halo); y <= Math.min(height - 1, row + halo); y++) {
    const start = (y * width + Math.max(0, column - halo)) * 3;
    const end = (y * width + Math.min(width, column + halo + 1)) * 3;
    target.set(source.subarray(start, end), start);
  }
}
