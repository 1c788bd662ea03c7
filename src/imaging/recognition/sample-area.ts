import type { Rectangle, Size } from '../geometry.ts';

/** Numbers of a picture, row by row; the channels of a pixel follow each other. */
export interface Samples extends Size {
  readonly channels: number;
  readonly data: Uint8Array | Float32Array;
}

/**
 * Scales a part of a picture to `size`. Each result is the mean of the area that it covers. Unlike with `scaleArea`, the part
 * may begin and end between pixels; beyond the picture's edge, its last pixels are repeated. The result is not rounded.
 */
export function sampleArea(
  { data, width, height, channels }: Samples,
  area: Rectangle,
  size: Size,
): Float32Array {
  const columns = computeTaps(area.left, area.width, size.width, width);
  const rows = computeTaps(area.top, area.height, size.height, height);
  const rowLength = width * channels;
  const result = new Float32Array(size.width * size.height * channels);
  const sums = new Float32Array(rowLength);
  for (let y = 0; y < size.height; y++) {
    sums.fill(0);
    for (let tap = rows.starts[y] ?? 0; tap < (rows.starts[y + 1] ?? 0); tap++) {
      const weight = rows.weights[tap] ?? 0;
      let index = (rows.positions[tap] ?? 0) * rowLength;
      for (let x = 0; x < rowLength; x++, index++) sums[x] = (sums[x] ?? 0) + weight * (data[index] ?? 0);
    }
    let target = y * size.width * channels;
    for (let x = 0; x < size.width; x++) {
      for (let channel = 0; channel < channels; channel++, target++) {
        let sum = 0;
        for (let tap = columns.starts[x] ?? 0; tap < (columns.starts[x + 1] ?? 0); tap++)
          sum +=
            (columns.weights[tap] ?? 0) * (sums[(columns.positions[tap] ?? 0) * channels + channel] ?? 0);
        result[target] = sum;
      }
    }
  }
  return result;
}

/** For each result, the positions of its source values (from `starts[n]` to `starts[n + 1]`) and their weights. */
interface Taps {
  readonly starts: Int32Array;
  readonly positions: Int32Array;
  readonly weights: Float32Array;
}

function computeTaps(start: number, length: number, count: number, limit: number): Taps {
  const step = length / count;
  const capacity = count * (Math.ceil(step) + 2);
  const taps = {
    starts: new Int32Array(count + 1),
    positions: new Int32Array(capacity),
    weights: new Float32Array(capacity),
  };
  let used = 0;
  for (let result = 0; result < count; result++) {
    taps.starts[result] = used;
    const from = start + result * step;
    // An enlarged picture is interpolated: each result covers one source value, from the middle of one to that of the next.
    const [first, last] = step >= 1 ? [from, from + step] : [from + step / 2 - 0.5, from + step / 2 + 0.5];
    for (let position = Math.floor(first); position < last; position++, used++) {
      taps.positions[used] = Math.max(0, Math.min(limit - 1, position));
      taps.weights[used] = (Math.min(position + 1, last) - Math.max(position, first)) / (last - first);
    }
  }
  taps.starts[count] = used;
  return taps;
}
