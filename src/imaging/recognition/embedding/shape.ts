import { makeRandomFeatures, signedRoots, toUnitLength } from './vectors.ts';
import { type Content, contentSide } from './content.ts';

const cells = 8;
const directions = 4;
const cellSide = contentSide / cells;
/**
 * Standard deviation of the blur, in cells. The blurred histogram is subtracted from the histogram, so that only each
 * cell's difference from its neighbourhood remains.
 */
const blurDeviation = 0.7;

/**
 * Distance beyond which two shapes count as dissimilar. Unrelated shapes have a distance of about 1.2. The same view of
 * a product in a different colour has a distance of about 0.3.
 */
const maxShapeDistance = 0.45;
/** Number of shape features. */
export const shapeDimensions = 280;
const mapEdges = makeRandomFeatures(cells * cells * directions, shapeDimensions, maxShapeDistance);

/**
 * Describes the shape of the content. Only similar shapes have a dot product well above 0. Returns 280 numbers, scaled
 * to a unit vector. All numbers are 0 if there are no edges.
 */
export function shapeFeatures(content: Content): Float64Array {
  const edges = computeEdges(content);
  return edges.some((value) => value !== 0) ? mapEdges(edges) : new Float64Array(shapeDimensions);
}

/**
 * Returns the positions and directions of edges: a histogram of lightness gradients in 8 × 8 cells × 4 directions.
 * Each gradient is distributed over adjacent cells and directions. Subtracts the blurred neighbourhood from the
 * square roots, because pictures of one kind, such as pictures of people, have similar edges overall. Only the
 * differences distinguish them. Normalises the result.
 * Based on Dalal, Triggs, "Histograms of oriented gradients for human detection", 2005.
 */
function computeEdges({ lab }: Content): Float64Array {
  const histogram = new Float64Array(borderedCells * borderedCells * directions);
  for (let y = 1; y < contentSide - 1; y++) {
    for (let x = 1; x < contentSide - 1; x++) {
      const index = (y * contentSide + x) * 3;
      const gradientX = (lab[index + 3] ?? 0) - (lab[index - 3] ?? 0);
      const gradientY = (lab[index + 3 * contentSide] ?? 0) - (lab[index - 3 * contentSide] ?? 0);
      addGradient(histogram, x, y, gradientX, gradientY);
    }
  }
  return toUnitLength(subtractNeighbourhood(signedRoots(removeBorder(histogram))));
}

/** Cells per side, including a border of one cell for the parts outside the picture. The border is discarded. */
const borderedCells = cells + 2;

/** For each pixel position: the index of the last cell whose centre precedes it. The border counts as a cell. */
const cellBefore = Int32Array.from({ length: contentSide }, (_, position) =>
  Math.floor((position + 0.5) / cellSide + 0.5),
);
/** For each pixel position: the weight of the next cell. The cell before it receives the remaining weight. */
const nextCellWeight = Float64Array.from(
  { length: contentSide },
  (_, position) => (position + 0.5) / cellSide + 0.5 - (cellBefore[position] ?? 0),
);

function addGradient(
  histogram: Float64Array,
  x: number,
  y: number,
  gradientX: number,
  gradientY: number,
): void {
  const strength = Math.sqrt(gradientX * gradientX + gradientY * gradientY);
  if (strength < 1e-6) return;
  const angle = Math.atan2(gradientY, gradientX) / Math.PI;
  const direction = (angle < 0 ? angle + 1 : angle) * directions;
  const first = Math.floor(direction) % directions;
  const second = (first + 1) % directions;
  const secondWeight = direction - Math.floor(direction);
  const rightWeight = nextCellWeight[x] ?? 0;
  const belowWeight = nextCellWeight[y] ?? 0;
  const start = ((cellBefore[y] ?? 0) * borderedCells + (cellBefore[x] ?? 0)) * directions;
  const next = start + borderedCells * directions;
  const upperStrength = strength * (1 - belowWeight);
  const lowerStrength = strength * belowWeight;
  addToCell(histogram, start, upperStrength * (1 - rightWeight), first, second, secondWeight);
  addToCell(histogram, start + directions, upperStrength * rightWeight, first, second, secondWeight);
  addToCell(histogram, next, lowerStrength * (1 - rightWeight), first, second, secondWeight);
  addToCell(histogram, next + directions, lowerStrength * rightWeight, first, second, secondWeight);
}

function addToCell(
  histogram: Float64Array,
  start: number,
  weight: number,
  first: number,
  second: number,
  secondWeight: number,
): void {
  histogram[start + first] = (histogram[start + first] ?? 0) + weight * (1 - secondWeight);
  histogram[start + second] = (histogram[start + second] ?? 0) + weight * secondWeight;
}

function removeBorder(histogram: Float64Array): Float64Array {
  return Float64Array.from({ length: cells * cells * directions }, (_, index) => {
    const direction = index % directions;
    const cell = (index - direction) / directions;
    const row = Math.floor(cell / cells) + 1;
    return histogram[(row * borderedCells + (cell % cells) + 1) * directions + direction] ?? 0;
  });
}

const radius = Math.ceil(blurDeviation * 3);
const taps = Float64Array.from({ length: 2 * radius + 1 }, (_, index) =>
  Math.exp(-((index - radius) ** 2) / (2 * blurDeviation ** 2)),
);
const tapSum = taps.reduce((sum, tap) => sum + tap, 0);

function subtractNeighbourhood(histogram: Float64Array): Float64Array {
  const blurredHistogram = blurAlong(blurAlong(histogram, 'columns'), 'rows');
  return histogram.map((value, index) => value - (blurredHistogram[index] ?? 0));
}

/**
 * Applies a Gaussian blur along one axis, separately for each direction. Beyond the edge, the last cell is repeated.
 */
function blurAlong(values: Float64Array, axis: 'columns' | 'rows'): Float64Array {
  return values.map((_, index) => {
    const direction = index % directions;
    const cell = (index - direction) / directions;
    const [row, column] = [Math.floor(cell / cells), cell % cells];
    let sum = 0;
    for (let tap = -radius; tap <= radius; tap++) {
      const position = Math.max(0, Math.min(cells - 1, (axis === 'columns' ? column : row) + tap));
      const sourceCell = axis === 'columns' ? row * cells + position : position * cells + column;
      sum += (taps[tap + radius] ?? 0) * (values[sourceCell * directions + direction] ?? 0);
    }
    return sum / tapSum;
  });
}
