import { signedRoots, unitLength } from './blocks.ts';
import { type Content, contentSide } from './content.ts';
import { makeRandomFeatures } from './random-features.ts';

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
const dimensions = 280;
const features = makeRandomFeatures(cells * cells * directions, dimensions, reachOfLikeness);

/**
 * Shape of the picture, such that only close shapes have a dot product well above 0: 280 numbers of length 1; zeros
 * when there is no edge.
 */
export function shapeBlock(content: Content): Float64Array {
  const edges = edgesOf(content);
  return edges.some((value) => value !== 0) ? features(edges) : new Float64Array(dimensions);
}

/**
 * Where the edges of a picture run, and in which direction: lightness gradients in 8 × 8 cells × 4 directions, shared
 * out between neighbouring cells and directions, as roots. The blurred neighbourhood is taken off, because people and
 * packs all have about the same edges at large; the rest tells them apart. Of length 1.
 * After Dalal, Triggs, "Histograms of oriented gradients for human detection", 2005.
 */
function edgesOf({ lab }: Content): Float64Array {
  const histogram = new Float64Array(cells * cells * directions);
  for (let y = 1; y < contentSide - 1; y++) {
    for (let x = 1; x < contentSide - 1; x++) {
      const at = (y * contentSide + x) * 3;
      const across = (lab[at + 3] ?? 0) - (lab[at - 3] ?? 0);
      const down = (lab[at + 3 * contentSide] ?? 0) - (lab[at - 3 * contentSide] ?? 0);
      addGradient(histogram, x, y, across, down);
    }
  }
  return unitLength(withoutNeighbourhood(signedRoots(histogram)));
}

function addGradient(histogram: Float64Array, x: number, y: number, across: number, down: number): void {
  const strength = Math.sqrt(across * across + down * down);
  if (strength < 1e-6) return;
  const turn = (((Math.atan2(down, across) / Math.PI) % 1) + 1) % 1;
  const direction = turn * directions;
  const first = Math.floor(direction) % directions;
  const share = direction - Math.floor(direction);
  const column = (x + 0.5) / cellSide - 0.5;
  const row = (y + 0.5) / cellSide - 0.5;
  for (const cellRow of [Math.floor(row), Math.floor(row) + 1]) {
    for (const cellColumn of [Math.floor(column), Math.floor(column) + 1]) {
      if (!isCell(cellRow) || !isCell(cellColumn)) continue;
      const weight = strength * (1 - Math.abs(row - cellRow)) * (1 - Math.abs(column - cellColumn));
      const start = (cellRow * cells + cellColumn) * directions;
      histogram[start + first] = (histogram[start + first] ?? 0) + weight * (1 - share);
      const second = start + ((first + 1) % directions);
      histogram[second] = (histogram[second] ?? 0) + weight * share;
    }
  }
}

function isCell(index: number): boolean {
  return index >= 0 && index < cells;
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
