import type { ExposureFacts, ProductBox } from '../../model/intake-facts.ts';
import type { Pixels } from '../decoding/pixels.ts';
import type { Background } from './background.ts';

/** A picture is sampled in a grid of at most this many points in each direction. */
const maxGridSide = 150;
/** Least difference (ΔE) from the background colour at which a point belongs to the product. */
const minProductDifference = 6;
/** Least fraction of the border in the background's colour. Otherwise, the picture has no background to speak of. */
const minBackgroundShare = 0.6;
/** Least number of product points in a row or column of the grid. A single one is dust. */
const minLinePoints = 2;
/** Values up to this far from 0 or 255 count as clipped, because compression moves them. */
const clippingTolerance = 3;
/** Colours with channels closer to each other than this are grey, and this fraction of the points may be coloured. */
const maxGreySpread = 10;
const maxColouredShare = 0.001;
/** Every third point is enough to tell whether there are colours. */
const greyStep = 3;

/** What a grid of samples shows. */
export interface ProductMeasurement {
  readonly fill: number | null;
  readonly product: ProductBox | null;
  readonly exposure: ExposureFacts;
  readonly grey: boolean;
}

/** Samples of a picture: `offsets` are those of the pixels in the data. */
interface Grid {
  readonly width: number;
  readonly height: number;
  readonly offsets: Int32Array;
}

/** Finds the product in front of a background, and measures its light. */
export function measureProduct(pixels: Pixels, background: Background): ProductMeasurement {
  const grid = sample(pixels);
  const grey = isGrey(pixels.data, grid);
  const whole = new Uint8Array(grid.offsets.length).fill(1);
  const { plainShare, whiteShare } = background.facts;
  if (Math.max(plainShare, whiteShare) < minBackgroundShare)
    return { fill: null, product: null, exposure: measureExposure(pixels.data, grid, whole), grey };
  const mask = findProduct(pixels.data, grid, background);
  const { points, product } = findBox(mask, grid);
  const fill = points / mask.length;
  return { fill, product, exposure: measureExposure(pixels.data, grid, product ? mask : whole), grey };
}

function sample({ width, height }: Pixels): Grid {
  const step = Math.max(1, Math.ceil(Math.max(width, height) / maxGridSide));
  const columns = Math.ceil(width / step);
  const rows = Math.ceil(height / step);
  // The samples lie in the middle of their cells, so that the grid is not shifted to one side.
  const first = { x: (width - (columns - 1) * step) >> 1, y: (height - (rows - 1) * step) >> 1 };
  const offsets = new Int32Array(columns * rows);
  for (let row = 0, index = 0; row < rows; row++) {
    const start = Math.min(height - 1, first.y + row * step) * width;
    for (let column = 0; column < columns; column++, index++)
      offsets[index] = (start + Math.min(width - 1, first.x + column * step)) * 3;
  }
  return { width: columns, height: rows, offsets };
}

/**
 * Returns a mask with 1 for each point of the product. The background is what a horizontal or vertical line reaches from
 * the edge of the picture without crossing the product. Enclosed parts in the background's colour belong to the product,
 * such as the white label on a bottle.
 */
function findProduct(data: Uint8Array, { width, height, offsets }: Grid, background: Background): Uint8Array {
  const { squaredDifference } = background;
  const isDifferent = new Uint8Array(offsets.length);
  for (let index = 0; index < offsets.length; index++) {
    const offset = offsets[index] ?? 0;
    const difference = squaredDifference(data[offset] ?? 0, data[offset + 1] ?? 0, data[offset + 2] ?? 0);
    isDifferent[index] = difference > minProductDifference ** 2 ? 1 : 0;
  }
  const mask = new Uint8Array(offsets.length).fill(1);
  const clearFrom = (start: number, step: number, count: number) => {
    for (let index = start, left = count; left > 0 && isDifferent[index] === 0; index += step, left--)
      mask[index] = 0;
  };
  for (let y = 0; y < height; y++) {
    clearFrom(y * width, 1, width);
    clearFrom((y + 1) * width - 1, -1, width);
  }
  for (let x = 0; x < width; x++) {
    clearFrom(x, width, height);
    clearFrom((height - 1) * width + x, -width, height);
  }
  return mask;
}

/** Counts the points of the product, and returns the box around them; `null` if there is hardly anything. */
function findBox(mask: Uint8Array, { width, height }: Grid): { points: number; product: ProductBox | null } {
  const columns = new Uint16Array(width);
  const rows = new Uint16Array(height);
  for (let y = 0, index = 0; y < height; y++) {
    for (let x = 0; x < width; x++, index++) {
      const value = mask[index] ?? 0;
      columns[x] = (columns[x] ?? 0) + value;
      rows[y] = (rows[y] ?? 0) + value;
    }
  }
  let points = 0;
  for (const count of rows) points += count;
  const isProduct = (points: number) => points >= minLinePoints;
  const left = columns.findIndex(isProduct);
  const top = rows.findIndex(isProduct);
  if (left < 0 || top < 0) return { points, product: null };
  const right = columns.findLastIndex(isProduct) + 1;
  const bottom = rows.findLastIndex(isProduct) + 1;
  const product = {
    left: left / width,
    top: top / height,
    width: (right - left) / width,
    height: (bottom - top) / height,
  };
  return { points, product };
}

/** Linear luminance of each value of a channel. The sum of the three is the luminance of a colour, from 0 to 1. */
const luminances = [0.2126729, 0.7151522, 0.072175].map((weight) =>
  Float64Array.from({ length: 256 }, (_, value) => {
    const fraction = value / 255;
    return weight * (fraction <= 0.04045 ? fraction / 12.92 : ((fraction + 0.055) / 1.055) ** 2.4);
  }),
);
const [redLuminances, greenLuminances, blueLuminances] = luminances as [
  Float64Array,
  Float64Array,
  Float64Array,
];

const lightnessSteps = 4096;
/** CIE L* at each step of the luminance from 0 to 1. Source: CIE 15:2004, 8.2.1. */
const lightnesses = Float64Array.from({ length: lightnessSteps + 1 }, (_, step) => {
  const ratio = step / lightnessSteps;
  return ratio > 216 / 24389 ? 116 * Math.cbrt(ratio) - 16 : (24389 / 27) * ratio;
});

/** Measures the points whose mask is 1. */
function measureExposure(data: Uint8Array, { offsets }: Grid, mask: Uint8Array): ExposureFacts {
  let points = 0;
  let lightness = 0;
  let shadows = 0;
  let highlights = 0;
  for (let index = 0; index < offsets.length; index++) {
    if (mask[index] === 0) continue;
    const offset = offsets[index] ?? 0;
    const red = data[offset] ?? 0;
    const green = data[offset + 1] ?? 0;
    const blue = data[offset + 2] ?? 0;
    const ratio = (redLuminances[red] ?? 0) + (greenLuminances[green] ?? 0) + (blueLuminances[blue] ?? 0);
    lightness += lightnesses[Math.round(ratio * lightnessSteps)] ?? 0;
    points++;
    if (Math.max(red, green, blue) <= clippingTolerance) shadows++;
    else if (Math.min(red, green, blue) >= 255 - clippingTolerance) highlights++;
  }
  return {
    lightness: lightness / points,
    clippedShadows: shadows / points,
    clippedHighlights: highlights / points,
  };
}

function isGrey(data: Uint8Array, { offsets }: Grid): boolean {
  let coloured = 0;
  for (let index = 0; index < offsets.length; index += greyStep) {
    const offset = offsets[index] ?? 0;
    const red = data[offset] ?? 0;
    const green = data[offset + 1] ?? 0;
    const blue = data[offset + 2] ?? 0;
    if (Math.max(red, green, blue) - Math.min(red, green, blue) > maxGreySpread) coloured++;
  }
  return coloured <= (offsets.length / greyStep) * maxColouredShare;
}
