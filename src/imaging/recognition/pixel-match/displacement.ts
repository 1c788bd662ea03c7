import type { Pixels } from '../../decoding/pixels.ts';

/** How far one picture's content is shifted against another's, in pixels. */
export interface Displacement {
  readonly right: number;
  readonly down: number;
}

/** A smaller displacement changes no block mean. */
const minDisplacement = 0.05;
/** Image libraries shift enlarged pictures by up to a pixel. A larger displacement means another crop. */
const maxDisplacement = 1.25;

/**
 * Returns the displacement of `b` against `a`, pictures of the same size; `undefined` if it is negligible, or too large
 * to be caused by re-encoding. One least-squares step over the whole picture at half its size.
 * Source: Lucas, Kanade, "An iterative image registration technique with an application to stereo vision", 1981.
 */
export function displacementOf(a: Pixels, b: Pixels): Displacement | undefined {
  const width = a.width >> 1;
  const height = a.height >> 1;
  const [one, two] = [halfLuma(a, width, height), halfLuma(b, width, height)];
  let [xx, xy, yy, xd, yd] = [0, 0, 0, 0, 0];
  for (let y = 1; y < height - 1; y++) {
    for (let at = y * width + 1; at < (y + 1) * width - 1; at++) {
      const across = slopeAt(one, two, at, 1);
      const down = slopeAt(one, two, at, width);
      const difference = (one[at] ?? 0) - (two[at] ?? 0);
      xx += across * across;
      xy += across * down;
      yy += down * down;
      xd += across * difference;
      yd += down * difference;
    }
  }
  const determinant = xx * yy - xy * xy;
  if (!(determinant > 0)) return undefined;
  // Doubled: a pixel at half the size is two pixels of the picture.
  const right = (2 * (xd * yy - yd * xy)) / determinant;
  const down = (2 * (yd * xx - xd * xy)) / determinant;
  const distance = Math.max(Math.abs(right), Math.abs(down));
  return distance >= minDisplacement && distance <= maxDisplacement ? { right, down } : undefined;
}

/** Returns the mean gradient of both pictures (central differences). */
function slopeAt(one: Float32Array, two: Float32Array, at: number, step: number): number {
  const before = (one[at - step] ?? 0) + (two[at - step] ?? 0);
  return ((one[at + step] ?? 0) + (two[at + step] ?? 0) - before) / 4;
}

function halfLuma({ data, width: fullWidth }: Pixels, width: number, height: number): Float32Array {
  const luma = new Float32Array(width * height);
  const row = fullWidth * 3;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const at = 2 * y * row + 6 * x;
      luma[y * width + x] =
        0.299 * sumOfFour(data, at, row) +
        0.587 * sumOfFour(data, at + 1, row) +
        0.114 * sumOfFour(data, at + 2, row);
    }
  }
  return luma;
}

function sumOfFour(data: Uint8Array, at: number, row: number): number {
  return (data[at] ?? 0) + (data[at + 3] ?? 0) + (data[at + row] ?? 0) + (data[at + row + 3] ?? 0);
}

/** Shifts the content of a picture back by a displacement (bilinear). Border pixels are repeated. */
export function movedBack({ data, width, height }: Pixels, { right, down }: Displacement): Pixels {
  const result = Buffer.allocUnsafe(data.length);
  const columns = neighboursOf(width, right);
  const rows = neighboursOf(height, down);
  for (let y = 0; y < height; y++) {
    const upper = (rows.first[y] ?? 0) * width;
    const lower = (rows.second[y] ?? 0) * width;
    for (let x = 0; x < width; x++) {
      const [left = 0, beside = 0] = [columns.first[x], columns.second[x]];
      for (let channel = 0; channel < 3; channel++) {
        const above =
          (data[(upper + left) * 3 + channel] ?? 0) * (1 - columns.share) +
          (data[(upper + beside) * 3 + channel] ?? 0) * columns.share;
        const below =
          (data[(lower + left) * 3 + channel] ?? 0) * (1 - columns.share) +
          (data[(lower + beside) * 3 + channel] ?? 0) * columns.share;
        result[(y * width + x) * 3 + channel] = above * (1 - rows.share) + below * rows.share + 0.5;
      }
    }
  }
  return { data: result, width, height };
}

/** Returns the two source positions of each position along one dimension, and the weight of the second. */
function neighboursOf(length: number, distance: number) {
  const whole = Math.floor(distance);
  const clamp = (position: number) => Math.max(0, Math.min(length - 1, position));
  return {
    first: Int32Array.from({ length }, (_, position) => clamp(position + whole)),
    second: Int32Array.from({ length }, (_, position) => clamp(position + whole + 1)),
    share: distance - whole,
  };
}
