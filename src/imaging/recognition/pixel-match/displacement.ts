import type { Pixels } from '../../decoding/pixels.ts';

/** How far one picture's content is shifted relative to another's, in pixels. */
export interface Displacement {
  readonly right: number;
  readonly down: number;
}

/** A smaller displacement has no noticeable effect on block means. */
const minDisplacement = 0.05;
/** Image libraries shift enlarged pictures by up to a pixel. A larger displacement means a different crop. */
const maxDisplacement = 1.25;

/**
 * Estimates the displacement of `b` relative to `a`. Both pictures must have the same size. Performs one least-squares
 * step over the whole pictures, scaled to half their size. Returns `undefined` if the displacement is negligible,
 * or too large to be caused by re-encoding.
 * Source: Lucas, Kanade, "An iterative image registration technique with an application to stereo vision", 1981.
 */
export function estimateDisplacement(a: Pixels, b: Pixels): Displacement | undefined {
  const width = a.width >> 1;
  const height = a.height >> 1;
  const [lumaA, lumaB] = [halfLuma(a, width, height), halfLuma(b, width, height)];
  let [xx, xy, yy, xd, yd] = [0, 0, 0, 0, 0];
  for (let y = 1; y < height - 1; y++) {
    for (let index = y * width + 1; index < (y + 1) * width - 1; index++) {
      const gradientX = meanGradient(lumaA, lumaB, index, 1);
      const gradientY = meanGradient(lumaA, lumaB, index, width);
      const difference = (lumaA[index] ?? 0) - (lumaB[index] ?? 0);
      xx += gradientX * gradientX;
      xy += gradientX * gradientY;
      yy += gradientY * gradientY;
      xd += gradientX * difference;
      yd += gradientY * difference;
    }
  }
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 0)) return undefined;
  // The result is doubled, because one pixel at half size corresponds to two pixels of the picture.
  const right = (2 * (xd * yy - yd * xy)) / determinant;
  const down = (2 * (yd * xx - xd * xy)) / determinant;
  const distance = Math.max(Math.abs(right), Math.abs(down));
  return distance >= minDisplacement && distance <= maxDisplacement ? { right, down } : undefined;
}

/** Returns the mean gradient of both pictures (central differences). */
function meanGradient(lumaA: Float32Array, lumaB: Float32Array, index: number, step: number): number {
  const before = (lumaA[index - step] ?? 0) + (lumaB[index - step] ?? 0);
  return ((lumaA[index + step] ?? 0) + (lumaB[index + step] ?? 0) - before) / 4;
}

function halfLuma({ data, width: fullWidth }: Pixels, width: number, height: number): Float32Array {
  const luma = new Float32Array(width * height);
  const row = fullWidth * 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const index = 2 * y * row + 6 * x;
      luma[y * width + x] =
        0.299 * sumOfFour(data, index, row) +
        0.587 * sumOfFour(data, index + 1, row) +
        0.114 * sumOfFour(data, index + 2, row);
    }
  }
  return luma;
}

function sumOfFour(data: Uint8Array, index: number, row: number): number {
  return (
    (data[index] ?? 0) + (data[index + 3] ?? 0) + (data[index + row] ?? 0) + (data[index + row + 3] ?? 0)
  );
}

/** Shifts a picture's content back by a displacement, with bilinear interpolation. Border pixels are repeated. */
export function undoDisplacement({ data, width, height }: Pixels, { right, down }: Displacement): Pixels {
  const result = Buffer.allocUnsafe(data.length);
  const columns = interpolationSources(width, right);
  const rows = interpolationSources(height, down);
  for (let y = 0; y < height; y++) {
    const upper = (rows.first[y] ?? 0) * width;
    const lower = (rows.second[y] ?? 0) * width;
    for (let x = 0; x < width; x++) {
      const [left = 0, next = 0] = [columns.first[x], columns.second[x]];
      for (let channel = 0; channel < 3; channel++) {
        const above =
          (data[(upper + left) * 3 + channel] ?? 0) * (1 - columns.weight) +
          (data[(upper + next) * 3 + channel] ?? 0) * columns.weight;
        const below =
          (data[(lower + left) * 3 + channel] ?? 0) * (1 - columns.weight) +
          (data[(lower + next) * 3 + channel] ?? 0) * columns.weight;
        result[(y * width + x) * 3 + channel] = above * (1 - rows.weight) + below * rows.weight + 0.5;
      }
    }
  }
  return { data: result, width, height };
}

/** Returns two source positions for each position along a dimension, and the weight of the second. */
function interpolationSources(length: number, distance: number) {
  const wholePixels = Math.floor(distance);
  const clamp = (position: number) => Math.max(0, Math.min(length - 1, position));
  return {
    first: Int32Array.from({ length }, (_, position) => clamp(position + wholePixels)),
    second: Int32Array.from({ length }, (_, position) => clamp(position + wholePixels + 1)),
    weight: distance - wholePixels,
  };
}
