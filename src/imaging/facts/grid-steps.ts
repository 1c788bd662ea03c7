import type { Line } from './lines.ts';

/** Size of the blocks in JPEG and most other formats. */
const blockSide = 8;
/** Steps between pixels, in levels of luma, that can be the border of a block. Smaller ones are noise, larger ones content. */
const minBlockStep = 6;
const maxBlockStep = 24;
/** Least number of such steps in a direction from which a grid can be told. */
const minSteps = 40;
/** Enlargement factors for which repeated pixels are searched. */
const factors = [2, 3, 4, 5, 6, 7, 8] as const;
/** Fraction of all change that lies between repeated pixels. Compression blurs it a little. */
const minRepeatedShare = 0.85;
/** Number of positions over which the change must be spread, because a few straight lines may lie on any grid. */
const minPositions = 20;

/** Finds steps that lie on a regular grid. */
export interface GridMeter {
  readonly add: (line: Line) => void;
  /** Returns the fraction of small isolated steps that lie on a grid of 8 × 8, beyond chance. */
  readonly blockiness: () => number;
  /** Returns whether pixels are repeated, as by an enlargement without interpolation. */
  readonly hasRepeatedPixels: () => boolean;
}

/** Counts of one direction. */
interface Counts {
  /** Number of isolated small steps by position modulo 8. */
  readonly steps: Uint32Array;
  /** Sum of all steps that are not noise, at each position. */
  readonly change: Int32Array;
}

/**
 * Creates a meter for grids. Lines must have the resolution of the file, since resizing moves a grid. The grid may start
 * anywhere, so that a recompressed cutting of a JPEG is recognised. Both directions must have the grid: otherwise, vertical
 * stripes would look like blocks.
 */
export function makeGridMeter(maxLength: number): GridMeter {
  const makeCounts = (): Counts => ({
    steps: new Uint32Array(blockSide),
    change: new Int32Array(maxLength),
  });
  const counts = { row: makeCounts(), column: makeCounts() };
  return {
    add({ direction, start, luma }) {
      const { steps, change } = counts[direction];
      let before = 0;
      let step = Math.abs((luma[1] ?? 0) - (luma[0] ?? 0));
      for (let index = 1; index + 1 < luma.length; index++) {
        const after = Math.abs((luma[index + 1] ?? 0) - (luma[index] ?? 0));
        const position = start + index;
        if (step >= minBlockStep) change[position] = (change[position] ?? 0) + step;
        if (step >= minBlockStep && step <= maxBlockStep && 2 * before <= step && 2 * after <= step) {
          const phase = position % blockSide;
          steps[phase] = (steps[phase] ?? 0) + 1;
        }
        before = step;
        step = after;
      }
    },
    blockiness: () => Math.min(measureExcess(counts.row.steps), measureExcess(counts.column.steps)),
    hasRepeatedPixels: () =>
      factors.some((factor) => isRepeated(counts.row, factor) && isRepeated(counts.column, factor)),
  };
}

/** Returns how much larger the largest count is than the mean of the others, as a fraction of the sum. */
function measureExcess(steps: Uint32Array): number {
  const total = steps.reduce((sum, count) => sum + count, 0);
  if (total < minSteps) return 0;
  const largest = Math.max(...steps);
  return (largest - (total - largest) / (blockSide - 1)) / total;
}

function isRepeated({ change }: Counts, factor: number): boolean {
  const sums = new Float64Array(factor);
  let total = 0;
  let squares = 0;
  // With an iterator, this loop would take longer than all others together.
  for (let position = 0, phase = 0; position < change.length; position++) {
    const value = change[position] ?? 0;
    sums[phase] = (sums[phase] ?? 0) + value;
    total += value;
    squares += value * value;
    phase = phase + 1 === factor ? 0 : phase + 1;
  }
  const positions = squares > 0 ? (total * total) / squares : 0;
  return positions >= minPositions && Math.max(...sums) >= total * minRepeatedShare;
}
