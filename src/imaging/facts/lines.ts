import type { ProductBox } from '../../model/intake-facts.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** Number of rows and of columns that are read, and the most pixels of each. This is enough for stable results. */
const linesPerDirection = 20;
const maxLength = 600;
/** Lines are read in pairs this far apart, because the pixels of two such columns share a cache line. */
const pairDistance = 7;
/** Least number of pixels in a line that is worth reading. */
const minLength = 16;

/** A row or column of a picture, or the part of it that crosses the product. */
export interface Line {
  readonly direction: 'row' | 'column';
  /** Position of the first sample in the row or column. */
  readonly start: number;
  /** Luma of each pixel, 0 to 255. Valid until the next line is read. */
  readonly luma: Int16Array;
}

/** Reads rows and columns of a picture, evenly spread over the product, or over the whole picture if it is not known. */
export function readLines(pixels: Pixels, product: ProductBox | null, visit: (line: Line) => void): void {
  const { width, height, data } = pixels;
  const box = product ?? { left: 0, top: 0, width: 1, height: 1 };
  const columns = toRange(box.left, box.width, width);
  const rows = toRange(box.top, box.height, height);
  const buffer = new Int16Array(Math.max(width, height));
  const read = (direction: Line['direction'], along: Range, across: Range, step: number, stride: number) => {
    const length = Math.min(maxLength, along.end - along.start);
    if (length < minLength) return;
    const count = Math.min(linesPerDirection, (across.end - across.start) & ~1);
    const luma = buffer.subarray(0, length);
    for (let index = 0; index < count; index++) {
      const spread = ((index & ~1) + 1) / count;
      const first = across.start + Math.floor(spread * (across.end - across.start));
      const position = Math.min(across.end - 1, first + (index % 2) * pairDistance);
      // Of long lines, one end and the other end are read alternately.
      const start = (index & 2) === 0 ? along.start : along.end - length;
      let offset = position * stride + start * step;
      for (let target = 0; target < length; target++, offset += step)
        luma[target] =
          (77 * (data[offset] ?? 0) + 150 * (data[offset + 1] ?? 0) + 29 * (data[offset + 2] ?? 0)) >> 8;
      visit({ direction, start, luma });
    }
  };
  read('row', columns, rows, 3, width * 3);
  read('column', rows, columns, width * 3, 3);
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** Returns the pixels of the product in one direction, with a margin around them for its outline. */
function toRange(start: number, length: number, size: number): Range {
  const margin = 8;
  return {
    start: Math.max(0, Math.floor(start * size) - margin),
    end: Math.min(size, Math.ceil((start + length) * size) + margin),
  };
}
