import { makeRandomFeatures, signedRoots, unitLength } from './vectors.ts';
import { type Content, contentSide } from './content.ts';

const cells = 8;
const directions = 4;
const cellSide = contentSide / cells;
/** Standard deviation, in cells, of the blur that is subtracted: the differences from the neighbourhood remain. */
const blurDeviation = 0.7;

/**
 * Distance beyond which two shapes count as dissimilar. Unrelated shapes have a distance of about 1.2, the same view of
 * a product in another colour about 0.3.
 */
const maxShapeDistance = 0.45;
/** Numbers in the block. */
export const shapeDimensions = 280;
const features = makeRandomFeatures(cells * cells * directions, shapeDimensions, maxShapeDistance);

/**
 * Describes the shape of the content such that only close shapes have a dot product well above 0: 280 numbers, length
 * 1; all zero if there are no edges.
 */
export function shapeBlock(content: Content): Float64Array {
  const edges = edgesOf(content);
  return edges.some((value) => value !== 0) ? features(edges) : new Float64Array(shapeDimensions);
}

/**
 * Returns the positions and directions of edges: lightness gradients in 8 × 8 cells × 4 directions, distributed over
 * adjacent cells and directions, as square roots of length 1. Subtracts the blurred neighbourhood: people and packs
 * have similar edges overall, and only the differences distinguish them. After Dalal, Triggs, "Histograms of oriented
 * gradients for human detection", 2005.
 */
function edgesOf({ lab }: Content): Float64Array {
  const histogram = new Float64Array(borderedCells * borderedCells * directions);
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

/** Cells per side with a border of one cell, which receives the parts outside the picture and is discarded. */
const borderedCells = cells + 2;

/**
 * For each column or row of pixels: the cell on its left (counted with the border), and the weight of the one on its
 * right.
 */
const cellOf = Int32Array.from({ length: contentSide }, (_, position) =>
  Math.floor((position + 0.5) / cellSide + 0.5),
);
const shareOf = Float64Array.from(
  { length: contentSide },
  (_, position) => (position + 0.5) / cellSide + 0.5 - (cellOf[position] ?? 0),
);

function addGradient(histogram: Float64Array, x: number, y: number, across: number, down: number): void {
  const strength = Math.sqrt(across * across + down * down);
  if (strength < 1e-6) return;
  const angle = Math.atan2(down, across) / Math.PI;
  const direction = (angle < 0 ? angle + 1 : angle) * directions;
  const first = Math.floor(direction) % directions;
  const second = (first + 1) % directions;
  const share = direction - Math.floor(direction);
  const right = shareOf[x] ?? 0;
  const below = shareOf[y] ?? 0;
  const start = ((cellOf[y] ?? 0) * borderedCells + (cellOf[x] ?? 0)) * directions;
  const next = start + borderedCells * directions;
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
    return histogram[(row * borderedCells + (cell % cells) + 1) * directions + direction] ?? 0;
  });
}

const radius = Math.ceil(blurDeviation * 3);
const taps = Float64Array.from({ length: 2 * radius + 1 }, (_, at) =>
  Math.exp(-((at - radius) ** 2) / (2 * blurDeviation ** 2)),
);
const tapSum = taps.reduce((sum, tap) => sum + tap, 0);

function withoutNeighbourhood(histogram: Float64Array): Float64Array {
  const blurred = blurAlong(blurAlong(histogram, 'columns'), 'rows');
  return histogram.map((value, at) => value - (blurred[at] ?? 0));
}

/**
 * Applies a Gaussian blur along one axis, separately for each direction. Beyond the edge, the last cell is repeated.
 */
function blurAlong(values: Float64Array, axis: 'columns' | 'rows'): Float64Array {
  return values.map((_, at) => {
    const direction = at % directions;
    const cell = (at - direction) / directions;
    const [row, column] = [Math.floor(cell / cells), cell % cells];
    let sum = 0;
    for (let tap = -radius; tap <= radius; tap++) {
      const position = Math.max(0, Math.min(cells - 1, (axis === 'columns' ? column : row) + tap));
      const from = axis === 'columns' ? row * cells + position : position * cells + column;
      sum += (taps[tap + radius] ?? 0) * (values[from * directions + direction] ?? 0);
    }
    return sum / tapSum;
  });
}
