import { shapeDimensions } from '../../../model/similarity-score.ts';
import { type Content, contentSide } from './content.ts';
import { toUnitLength } from './vectors.ts';

const cells = 8;
const directions = shapeDimensions / (cells * cells);
const cellSide = contentSide / cells;
const rowLength = cells * directions;

/** Cells per side, including a border of one cell for the parts outside the picture. The border is discarded. */
const borderedCells = cells + 2;
const borderedRowLength = borderedCells * directions;

/** For each pixel position: the index of the last cell whose centre precedes it. The border counts as a cell. */
const cellBefore = Int32Array.from({ length: contentSide }, (_, position) =>
  Math.floor((position + 0.5) / cellSide + 0.5),
);
/** For each pixel position: the weight of the next cell. The cell before it receives the remaining weight. */
const nextCellWeight = Float64Array.from(
  { length: contentSide },
  (_, position) => (position + 0.5) / cellSide + 0.5 - (cellBefore[position] ?? 0),
);

/**
 * Describes the shape of the content: the positions and directions of its edges, as a histogram of lightness gradients in
 * 8 × 8 cells × 4 directions. Each gradient is distributed over adjacent cells and directions. Subtracts the blurred
 * neighbourhood from the square roots, because pictures of one kind, such as pictures of people, have similar edges
 * overall. Only the differences distinguish them. Returns 256 numbers, scaled to a unit vector, or zeros if there are no
 * edges.
 * Based on Dalal, Triggs, "Histograms of oriented gradients for human detection", 2005.
 */
export function shapeFeatures({ lab }: Content): Float64Array {
  const histogram = new Float64Array(borderedCells * borderedRowLength);
  const below = 3 * contentSide;
  for (let y = 1; y < contentSide - 1; y++) {
    for (let x = 1; x < contentSide - 1; x++) {
      const index = (y * contentSide + x) * 3;
      const gradientX = (lab[index + 3] ?? 0) - (lab[index - 3] ?? 0);
      const gradientY = (lab[index + below] ?? 0) - (lab[index - below] ?? 0);
      addGradient(histogram, x, y, gradientX, gradientY);
    }
  }
  const roots = removeBorder(histogram).map(Math.sqrt);
  const blurredRoots = blurAlong(blurAlong(roots, 'columns'), 'rows');
  return toUnitLength(roots.map((root, index) => root - (blurredRoots[index] ?? 0)));
}

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
  const start = (cellBefore[y] ?? 0) * borderedRowLength + (cellBefore[x] ?? 0) * directions;
  const next = start + borderedRowLength;
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
  const inner = new Float64Array(cells * rowLength);
  for (let row = 0; row < cells; row++) {
    const start = (row + 1) * borderedRowLength + directions;
    inner.set(histogram.subarray(start, start + rowLength), row * rowLength);
  }
  return inner;
}

/** Standard deviation of the blur, in cells. */
const blurDeviation = 0.7;
const radius = Math.ceil(blurDeviation * 3);
const gaussian = Array.from({ length: 2 * radius + 1 }, (_, index) =>
  Math.exp(-((index - radius) ** 2) / (2 * blurDeviation ** 2)),
);
const gaussianSum = gaussian.reduce((sum, tap) => sum + tap, 0);

/** Row i contains the weight of each cell in the blurred cell i of one axis. Beyond the edge, the last cell is repeated. */
const blurWeights = Float64Array.from({ length: cells * cells }, (_, index) => {
  const [target, source] = [Math.floor(index / cells), index % cells];
  const isSource = (tap: number) =>
    Math.max(0, Math.min(cells - 1, target + tap - radius)) === source ? 1 : 0;
  return gaussian.reduce((sum, weight, tap) => sum + weight * isSource(tap), 0) / gaussianSum;
});

/** Applies a Gaussian blur along one axis, separately for each direction. */
function blurAlong(values: Float64Array, axis: 'columns' | 'rows'): Float64Array {
  const [alongStride, acrossStride] = axis === 'columns' ? [directions, rowLength] : [rowLength, directions];
  const result = new Float64Array(values.length);
  for (let across = 0; across < cells; across++) {
    for (let target = 0; target < cells; target++) {
      const targetIndex = across * acrossStride + target * alongStride;
      for (let source = 0; source < cells; source++) {
        const weight = blurWeights[target * cells + source] ?? 0;
        const sourceIndex = across * acrossStride + source * alongStride;
        for (let direction = 0; direction < directions; direction++)
          result[targetIndex + direction] =
            (result[targetIndex + direction] ?? 0) + weight * (values[sourceIndex + direction] ?? 0);
      }
    }
  }
  return result;
}
