import type { Pixels } from '../../decoding/pixels.ts';

/** Offset of one picture's content to the right of, and below, another's, in pixels. */
export interface Displacement {
  readonly right: number;
  readonly down: number;
}

/** A smaller displacement changes no block mean. */
const negligible = 0.05;
/** Image libraries shift enlarged pictures by up to a pixel; more means another crop. */
const largest = 1.25;

/**
 * Displacement of `b` against `a`, pictures of one size, by one least-squares step (Lucas, Kanade, "An iterative image
 * registration technique with an application to stereo vision", 1981) over the whole picture at half its size.
 * `undefined` if there is none, or if it is too large for a re-encoding: the two are then compared unshifted.
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
  // Doubled: one step at half the size is two pixels.
  const right = (2 * (xd * yy - yd * xy)) / determinant;
  const down = (2 * (yd * xx - xd * xy)) / determinant;
  const distance = Math.max(Math.abs(right), Math.abs(down));
  return distance >= negligible && distance <= largest ? { right, down } : undefined;
}

/** Mean gradient of both pictures, by central differences. */
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

/** The picture with its content shifted back by a displacement (bilinear); border pixels are repeated. */
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

/** For each position along one dimension, the two source positions and the weight of the second. */
function neighboursOf(length: number, distance: number) {
  const whole = Math.floor(distance);
  const inside = (place: number) => Math.max(0, Math.min(length - 1, place));
  return {
    first: Int32Array.from({ length }, (_, place) => inside(place + whole)),
    second: Int32Array.from({ length }, (_, place) => inside(place + whole + 1)),
    share: distance - whole,
  };
}
