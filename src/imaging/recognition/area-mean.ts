import type { Rectangle, Size } from '../geometry.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** The source pixels that are averaged for one result pixel, and the weights of the first and the last source pixel. */
interface Span {
  readonly first: number;
  readonly count: number;
  readonly firstWeight: number;
  readonly lastWeight: number;
}

/**
 * Scales a part of a picture to exactly `size`. Each result pixel is the mean of the area that it covers. Used for the
 * small pictures from which fingerprints and embeddings are computed. At these sizes, a call to the image
 * library would take longer than the computation itself.
 */
export function scaleArea(pixels: Pixels, area: Rectangle, size: Size): Pixels {
  const rows = averageHorizontally(pixels, area, computeSpans(area.width, size.width));
  return { ...size, data: averageVertically(rows, size.width, computeSpans(area.height, size.height)) };
}

/** Scales the whole picture to exactly `size`. */
export function scalePicture(pixels: Pixels, size: Size): Pixels {
  return scaleArea(pixels, { left: 0, top: 0, width: pixels.width, height: pixels.height }, size);
}

/**
 * Scales a picture to half its width and height (rounded down). Each result pixel is the mean of four pixels. Much faster
 * than `scalePicture`, which handles any factor.
 */
export function halvePicture({ data, width, height }: Pixels): Pixels {
  const halfWidth = width >> 1;
  const halfHeight = height >> 1;
  const result = Buffer.allocUnsafe(halfWidth * halfHeight * 3);
  const rowLength = width * 3;
  let target = 0;
  for (let y = 0; y < halfHeight; y++) {
    let upper = 2 * y * rowLength;
    for (let x = 0; x < halfWidth; x++) {
      for (let channel = 0; channel < 3; channel++, upper++, target++) {
        const lower = upper + rowLength;
        const left = (data[upper] ?? 0) + (data[lower] ?? 0);
        const right = (data[upper + 3] ?? 0) + (data[lower + 3] ?? 0);
        result[target] = (left + right + 2) >> 2;
      }
      upper += 3;
    }
  }
  return { width: halfWidth, height: halfHeight, data: result };
}

function computeSpans(sourceLength: number, resultLength: number): Span[] {
  return Array.from({ length: resultLength }, (_, index) => {
    const start = (index * sourceLength) / resultLength;
    const end = ((index + 1) * sourceLength) / resultLength;
    const first = Math.min(sourceLength - 1, Math.floor(start));
    const last = Math.max(first, Math.min(sourceLength - 1, Math.ceil(end) - 1));
    const length = end - start;
    const firstWeight = (Math.min(end, first + 1) - start) / length;
    return {
      first,
      count: last - first + 1,
      firstWeight,
      lastWeight: last > first ? (end - last) / length : 0,
    };
  });
}

/**
 * Buffer that is reused for every picture. With a new buffer each time, the garbage collector would run twice as often,
 * which would add 1 ms per picture. Reuse is safe because there is no `await` between writing and reading the buffer.
 */
let sharedRows = new Float32Array(0);

function acquireRows(length: number): Float32Array {
  if (sharedRows.length < length) sharedRows = new Float32Array(length);
  return sharedRows.subarray(0, length);
}

/** Averages each row of the area horizontally. */
function averageHorizontally({ data, width }: Pixels, area: Rectangle, spans: readonly Span[]): Float32Array {
  const result = acquireRows(area.height * spans.length * 3);
  const innerWeight = spans.length / area.width;
  let target = 0;
  for (let y = 0; y < area.height; y++) {
    const row = ((area.top + y) * width + area.left) * 3;
    for (const { first, count, firstWeight, lastWeight } of spans) {
      let index = row + first * 3;
      let red = firstWeight * (data[index] ?? 0);
      let green = firstWeight * (data[index + 1] ?? 0);
      let blue = firstWeight * (data[index + 2] ?? 0);
      for (let step = 1; step < count; step++) {
        index += 3;
        const weight = step === count - 1 ? lastWeight : innerWeight;
        red += weight * (data[index] ?? 0);
        green += weight * (data[index + 1] ?? 0);
        blue += weight * (data[index + 2] ?? 0);
      }
      result[target] = red;
      result[target + 1] = green;
      result[target + 2] = blue;
      target += 3;
    }
  }
  return result;
}

/** Averages the rows vertically, and rounds to bytes. */
function averageVertically(rows: Float32Array, width: number, spans: readonly Span[]): Buffer {
  const length = width * 3;
  const result = Buffer.alloc(spans.length * length);
  const innerWeight = spans.length / (rows.length / length);
  const sums = new Float32Array(length);
  for (const [y, { first, count, firstWeight, lastWeight }] of spans.entries()) {
    sums.fill(0);
    for (let step = 0; step < count; step++) {
      const weight = step === 0 ? firstWeight : step === count - 1 ? lastWeight : innerWeight;
      const row = (first + step) * length;
      for (let index = 0; index < length; index++)
        sums[index] = (sums[index] ?? 0) + weight * (rows[row + index] ?? 0);
    }
    for (let index = 0; index < length; index++) result[y * length + index] = (sums[index] ?? 0) + 0.5;
  }
  return result;
}
