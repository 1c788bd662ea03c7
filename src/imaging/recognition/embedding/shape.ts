import { makeRandomFeatures, signedRoots, unitLength } from './vectors.ts';
import { type Content, contentSide } from './content.ts';

const cells = 8;
const directions = 4;
const cellSide = contentSide / cells;
/** Width of the blur that is taken off, in cells: it leaves what differs from the neighbourhood. */
const neighbourhood = 0.7;

/**
 * Distance at which two shapes count as hardly alike any more; unrelated ones lie about 1.2 apart, the same view of a
 * product in another colour about 0.3.
 */
const reachOfLikeness = 0.45;
/** Numbers in the block. */
export const shapeDimensions = 280;
const features = makeRandomFeatures(cells * cells * directions, shapeDimensions, reachOfLikeness);

/**
 * Shape of the picture, such that only close shapes have a dot product well above 0: 280 numbers of length 1; zeros
 * when there is no edge.
 */
export function shapeBlock(content: Content): Float64Array {
  const edges = edgesOf(content);
  return edges.some((value) => value !== 0) ? features(edges) : new Float64Array(shapeDimensions);
}

/**
 * Where the edges of a picture run, and in which direction: lightness gradients in 8 × 8 cells × 4 directions, shared
 * out between neighbouring cells and directions, as roots. The blurred neighbourhood is taken off, because people and
 * packs all have about the same edges at large; the rest tells them apart. Of length 1.
 * After Dalal, Triggs, "Histograms of oriented gradients for human detection", 2005.
 */
function edgesOf({ lab }: Content): Float64Array {
  const histogram = new Float64Array(bordered * bordered * directions);
  for (let y = 1; y < contentSide - 1; y++) {
    for (let x = 1; x < contentSide - 1; x++) {
      const at = (y * contentSide + x) * 3;
      const across = (lab[at + 3] ?? 0) - (lab[at - 3] ?? 0);
      const down = (lab[at + 3 * contentSide] ?? 0) - (lab[at - 3 * contentSide] ?? 0);
      addGradient(histogram, x, y, across, down);
    }
  }
  return unitLength(withoutNeighbourhood(signedRoots(withoutBorder(histogram))));
}

/** Cells with a border of one cell, which takes what falls beside the picture and is thrown away. */
const bordered = cells + 2;

/** For each column or row of pixels: the cell (counted with the border) on its left, and the share of the one on its right. */
const cellOf = Int32Array.from({ length: contentSide }, (_, place) =>
  Math.floor((place + 0.5) / cellSide + 0.5),
);
const shareOf = Float64Array.from(
  { length: contentSide },
  (_, place) => (place + 0.5) / cellSide + 0.5 - (cellOf[place] ?? 0),
);

function addGradient(histogram: Float64Array, x: number, y: number, across: number, down: number): void {
  const strength = Math.sqrt(across * across + down * down);
  if (strength < 1e-6) return;
  const turn = Math.atan2(down, across) / Math.PI;
  const direction = (turn < 0 ? turn + 1 : turn) * directions;
  const first = Math.floor(direction) % directions;
  const second = (first + 1) % directions;
  const share = direction - Math.floor(direction);
  const right = shareOf[x] ?? 0;
  const below = shareOf[y] ?? 0;
  const start = ((cellOf[y] ?? 0) * bordered + (cellOf[x] ?? 0)) * directions;
  const next = start + bordered * directions;
  const upper = strength * (1 - below);
  const lower = strength * below;
  addToCell(histogram, start, upper * (1 - right), first, second, share);
  addToCell(histogram, start + directions, upper * right, first, second, share);
  addToCell(histogram, next, lower * (1 - right), first, second, share);
  addToCell(histogram, next + directions, lower * right, first, second, share);
}

function addToCell(
  histogram: Float64Array,
  start: number,
  weight: number,
  first: number,
  second: number,
  share: number,
): void {
  histogram[start + first] = (histogram[start + first] ?? 0) + weight * (1 - share);
  histogram[start + second] = (histogram[start + second] ?? 0) + weight * share;
}

function withoutBorder(histogram: Float64Array): Float64Array {
  return Float64Array.from({ length: cells * cells * directions }, (_, at) => {
    const direction = at % directions;
    const cell = (at - direction) / directions;
    const row = Math.floor(cell / cells) + 1;
    return histogram[(row * bordered + (cell % cells) + 1) * directions + direction] ?? 0;
  });
}

const reach = Math.ceil(neighbourhood * 3);
const taps = Float64Array.from({ length: 2 * reach + 1 }, (_, at) =>
  Math.exp(-((at - reach) ** 2) / (2 * neighbourhood ** 2)),
);
const tapSum = taps.reduce((sum, tap) => sum + tap, 0);

function withoutNeighbourhood(histogram: Float64Array): Float64Array {
  const blurred = blurAlong(blurAlong(histogram, 'columns'), 'rows');
  return histogram.map((value, at) => value - (blurred[at] ?? 0));
}

/** Gaussian blur over cells of each direction by itself; beyond the edge, the outermost cell is repeated. */
function blurAlong(values: Float64Array, axis: 'columns' | 'rows'): Float64Array {
  return values.map((_, at) => {
    const direction = at % directions;
    const cell = (at - direction) / directions;
    const [row, column] = [Math.floor(cell / cells), cell % cells];
    let sum = 0;
    for (let tap = -reach; tap <= reach; tap++) {
      const place = Math.max(0, Math.min(cells - 1, (axis === 'columns' ? column : row) + tap));
      const from = axis === 'columns' ? row * cells + place : place * cells + column;
      sum += (taps[tap + reach] ?? 0) * (values[from * directions + direction] ?? 0);
    }
    return sum / tapSum;
  });
}
