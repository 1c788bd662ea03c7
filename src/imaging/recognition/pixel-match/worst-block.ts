import {
  type CellRectangle,
  type CellMeans,
  contrastAround,
  subtractPlanes,
  makeMeanLookup,
  type Plane,
} from './cells.ts';

/** A block of cells, and how much two pictures differ in it. */
export interface Block extends CellRectangle {
  /** Difference of the block's means ÷ the difference that re-encoding may cause. Above 1, the pictures differ. */
  readonly excess: number;
  readonly channel: 'lightness' | 'colour';
}

/** How much re-encoding may change a block's mean: `base`, plus `slope` × the contrast in and around the block. */
export interface Allowance {
  readonly base: number;
  readonly slope: number;
}

/**
 * Allowances by the side of a block, in cells of 4 pixels. Small blocks detect a changed stroke, and large blocks
 * detect a changed shade. In measurements (ADR 0025), JPEG at quality 60 with 4:2:0 changed a photograph by less than
 * 80% of the allowances. A changed digit exceeded them at least threefold. Allowances depend on the contrast because
 * resampling and chroma subsampling change an edge in proportion to its contrast.
 */
const scales: readonly { side: number; luma: Allowance; chroma: Allowance }[] = [
  { side: 1, luma: { base: 9, slope: 0.12 }, chroma: { base: 18, slope: 0.4 } },
  { side: 2, luma: { base: 4.5, slope: 0.05 }, chroma: { base: 7, slope: 0.16 } },
  { side: 4, luma: { base: 2.6, slope: 0.03 }, chroma: { base: 3.4, slope: 0.08 } },
  { side: 8, luma: { base: 2.1, slope: 0.015 }, chroma: { base: 2.9, slope: 0.04 } },
  { side: 16, luma: { base: 1.9, slope: 0.008 }, chroma: { base: 2.6, slope: 0.008 } },
];

/**
 * Returns the block in which two pictures of the same size differ most, relative to the difference that re-encoding may
 * cause. The less noise there is, the smaller the allowances: variants of a drawing that were exported in the same way
 * have no noise, so a slight difference is already significant.
 */
export function findWorstBlock(a: CellMeans, b: CellMeans): Block {
  const fraction = allowanceFraction(measureNoise(a, b));
  const [lumaDifference, blueDifference, redDifference] = [
    makeMeanLookup(subtractPlanes(a.luma, b.luma)),
    makeMeanLookup(subtractPlanes(a.blue, b.blue)),
    makeMeanLookup(subtractPlanes(a.red, b.red)),
  ];
  let worstBlock: Block = { column: 0, row: 0, columns: 1, rows: 1, excess: 0, channel: 'lightness' };
  for (const scale of scales) {
    for (const rectangle of overlappingSquares(a.luma, scale.side)) {
      const lightness = Math.abs(lumaDifference(rectangle));
      const colour = Math.hypot(blueDifference(rectangle), redDifference(rectangle));
      // Contrast can only raise the allowance, so most blocks are skipped without computing their contrast.
      const maxExcess = Math.max(lightness / scale.luma.base, colour / scale.chroma.base) / fraction;
      if (maxExcess <= worstBlock.excess) continue;
      const lightnessExcess =
        lightness / fraction / computeAllowance(scale.luma, lumaContrast(a, b, rectangle));
      const colourExcess =
        colour / fraction / computeAllowance(scale.chroma, chromaContrast(a, b, rectangle));
      const excess = Math.max(lightnessExcess, colourExcess);
      const channel = lightnessExcess >= colourExcess ? 'lightness' : 'colour';
      if (excess > worstBlock.excess) worstBlock = { ...rectangle, excess, channel };
    }
  }
  return worstBlock;
}

export function computeAllowance({ base, slope }: Allowance, contrast: number): number {
  return base + slope * contrast;
}

/**
 * Returns the lower of the two pictures' contrasts. Detail that exists in only one of them is itself a difference, so
 * its contrast must not raise the allowance.
 */
export function lumaContrast(a: CellMeans, b: CellMeans, rectangle: CellRectangle): number {
  return Math.min(contrastAround(a.luma, rectangle), contrastAround(b.luma, rectangle));
}

export function chromaContrast(a: CellMeans, b: CellMeans, rectangle: CellRectangle): number {
  const contrast = ({ blue, red }: CellMeans) =>
    Math.hypot(contrastAround(blue, rectangle), contrastAround(red, rectangle));
  return Math.min(contrast(a), contrast(b));
}

/** Yields squares of `side` cells. Neighbours overlap by half. The last squares are aligned with the picture's edge. */
function* overlappingSquares({ columns, rows }: Plane, side: number): Generator<CellRectangle> {
  const size = { columns: Math.min(side, columns), rows: Math.min(side, rows) };
  const step = Math.max(1, side >> 1);
  for (let row = 0; ; row = Math.min(row + step, rows - size.rows)) {
    for (let column = 0; ; column = Math.min(column + step, columns - size.columns)) {
      yield { column, row, ...size };
      if (column === columns - size.columns) break;
    }
    if (row === rows - size.rows) break;
  }
}

/** Minimum luma contrast of a cell in which re-encoding leaves noise. */
const minNoisyContrast = 12;

/**
 * Returns the upper quartile of the differences in luma or chroma between the pictures, over the cells that have
 * contrast in both; 0 if there are no such cells. The median would be too low, because most blocks of a JPEG do not
 * change when it is saved again at the same quality.
 */
function measureNoise(a: CellMeans, b: CellMeans): number {
  const { columns, rows } = a.luma;
  const noise: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      if (lumaContrast(a, b, { column, row, columns: 1, rows: 1 }) < minNoisyContrast) continue;
      const cell = row * columns + column;
      const differenceIn = (channel: keyof CellMeans) =>
        (a[channel].values[cell] ?? 0) - (b[channel].values[cell] ?? 0);
      noise.push(
        Math.max(Math.abs(differenceIn('luma')), Math.hypot(differenceIn('blue'), differenceIn('red'))),
      );
    }
  }
  return Float32Array.from(noise).sort()[Math.floor(noise.length * 0.75)] ?? 0;
}

/** Fraction of the allowances that applies if there is no noise. */
const minFraction = 0.3;
/** Noise level from which the full allowances apply. */
const fullNoise = 0.875;

/** Returns the fraction of the allowances that applies at a noise level. */
function allowanceFraction(noise: number): number {
  return Math.min(1, minFraction + (1 - minFraction) * (noise / fullNoise));
}
