import type { Size } from '../../geometry.ts';
import { makeCellPair } from './cell-pair.ts';
import { findDifferences } from './differences.ts';

/** Two aligned pictures, with three values per cell, and where they differ. */
export interface Comparison {
  readonly first: Float32Array;
  readonly second: Float32Array;
  /** 1 for each cell that differs. */
  readonly isDifferent: Uint8Array;
  /** 1 for each cell whose colour or lightness differs, not only its shapes. */
  readonly isShaded: Uint8Array;
  /** How much the pictures differ at most; up to 1 is what an edit of the same picture may cause. */
  readonly largestExcess: number;
  /** Part of the cells that differ, and whose shapes differ. */
  readonly share: number;
  readonly shapeShare: number;
}

/** Compares two aligned pictures cell by cell. */
export function compareCells(first: Float32Array, second: Float32Array, size: Size): Comparison {
  const { shade, shape } = findDifferences(makeCellPair(first, second, size));
  const isDifferent = new Uint8Array(shade.length);
  const isShaded = new Uint8Array(shade.length);
  let [count, shapeCount, largestExcess] = [0, 0, 0];
  for (let cell = 0; cell < isDifferent.length; cell++) {
    const excess = Math.max(shade[cell] ?? 0, shape[cell] ?? 0);
    if (excess <= 1) continue;
    isDifferent[cell] = 1;
    if ((shade[cell] ?? 0) > 1) isShaded[cell] = 1;
    count++;
    if ((shape[cell] ?? 0) > 1) shapeCount++;
    if (excess > largestExcess) largestExcess = excess;
  }
  return {
    first,
    second,
    isDifferent,
    isShaded,
    largestExcess,
    share: count / isDifferent.length,
    shapeShare: shapeCount / isDifferent.length,
  };
}
