import type { Frame, Size } from '../geometry.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** Source pixels that one result pixel averages, and the weights of the first and the last of them. */
interface Span {
  readonly first: number;
  readonly count: number;
  readonly firstShare: number;
  readonly lastShare: number;
}

/**
 * Scales a part of a picture to exactly `size`; each result pixel is the mean of the area that it covers. Used for the
 * small pictures from which descriptions are computed: at these sizes a call of the image library costs more than the
 * computation.
 */
export function areaMean(pixels: Pixels, frame: Frame, size: Size): Pixels {
  const rows = averageColumns(pixels, frame, spansOf(frame.width, size.width));
  return { ...size, data: averageRows(rows, size.width, spansOf(frame.height, size.height)) };
}

/** Scales the whole picture to exactly `size`. */
export function wholeAreaMean(pixels: Pixels, size: Size): Pixels {
  return areaMean(pixels, { left: 0, top: 0, width: pixels.width, height: pixels.height }, size);
}

function spansOf(from: number, to: number): Span[] {
  return Array.from({ length: to }, (_, index) => {
    const start = (index * from) / to;
    const end = ((index + 1) * from) / to;
    const first = Math.min(from - 1, Math.floor(start));
    const last = Math.max(first, Math.min(from - 1, Math.ceil(end) - 1));
    const length = end - start;
    const firstShare = (Math.min(end, first + 1) - start) / length;
    return {
      first,
      count: last - first + 1,
      firstShare,
      lastShare: last > first ? (end - last) / length : 0,
    };
  });
}

/**
 * Reused for every picture: allocating it each time makes the garbage collector run twice as often (measured: 1 ms per
 * picture). Safe because there is no `await` between writing and reading it.
 */
let sharedRows = new Float32Array(0);

function rowsBuffer(length: number): Float32Array {
  if (sharedRows.length < length) sharedRows = new Float32Array(length);
  return sharedRows.subarray(0, length);
}

/** Averages each row of the frame horizontally. */
function averageColumns({ data, width }: Pixels, frame: Frame, spans: readonly Span[]): Float32Array {
  const result = rowsBuffer(frame.height * spans.length * 3);
  const inner = spans.length / frame.width;
  let to = 0;
  for (let y = 0; y < frame.height; y++) {
    const row = ((frame.top + y) * width + frame.left) * 3;
    for (const { first, count, firstShare, lastShare } of spans) {
      let at = row + first * 3;
      let red = firstShare * (data[at] ?? 0);
      let green = firstShare * (data[at + 1] ?? 0);
      let blue = firstShare * (data[at + 2] ?? 0);
      for (let step = 1; step < count; step++) {
        at += 3;
        const share = step === count - 1 ? lastShare : inner;
        red += share * (data[at] ?? 0);
        green += share * (data[at + 1] ?? 0);
        blue += share * (data[at + 2] ?? 0);
      }
      result[to] = red;
      result[to + 1] = green;
      result[to + 2] = blue;
      to += 3;
    }
  }
  return result;
}

/** Averages the rows vertically, and rounds to bytes. */
function averageRows(rows: Float32Array, width: number, spans: readonly Span[]): Buffer {
  const length = width * 3;
  const result = Buffer.alloc(spans.length * length);
  const inner = spans.length / (rows.length / length);
  const sums = new Float32Array(length);
  for (const [y, { first, count, firstShare, lastShare }] of spans.entries()) {
    sums.fill(0);
    for (let step = 0; step < count; step++) {
      const share = step === 0 ? firstShare : step === count - 1 ? lastShare : inner;
      const row = (first + step) * length;
      for (let at = 0; at < length; at++) sums[at] = (sums[at] ?? 0) + share * (rows[row + at] ?? 0);
    }
    for (let at = 0; at < length; at++) result[y * length + at] = (sums[at] ?? 0) + 0.5;
  }
  return result;
}
