import { type BmpHeader, refusedBmp } from '../containers/bmp.ts';
import { cut } from '../damage/verdict.ts';

/** Palette indices of a picture, one byte for each pixel, rows in the file's order. */
export type PaletteIndices = Uint8Array;

const endOfLine = 0;
const endOfBitmap = 1;
const delta = 2;

/**
 * Decodes RLE4 and RLE8. Pixels that the file skips keep index 0; runs beyond a row's end are cut, because encoders
 * exist that write them.
 * Algorithm: Microsoft, "Bitmap Compression".
 * @throws AppError `picture_cut` when the file ends before its last row is complete.
 */
export function readRunLengths(file: Uint8Array, header: BmpHeader): PaletteIndices {
  const canvas = makeCanvas(header);
  let at = header.pixelOffset;
  while (at + 1 < file.length && canvas.hasRoom()) {
    const count = file[at] ?? 0;
    const value = file[at + 1] ?? 0;
    at += 2;
    if (count > 0) canvas.run(count, value);
    else if (value === endOfLine) canvas.nextLine();
    else if (value === endOfBitmap) return canvas.indices;
    else if (value === delta) {
      canvas.skip(file[at] ?? 0, file[at + 1] ?? 0);
      at += 2;
    } else at += canvas.literal(value, file.subarray(at));
  }
  if (!canvas.isComplete()) throw refusedBmp(cut('ends before its last row is complete'));
  return canvas.indices;
}

function makeCanvas({ width, height, coding }: BmpHeader) {
  const indices: PaletteIndices = new Uint8Array(width * height);
  const isNibbles = coding === 'rle4';
  let x = 0;
  let y = 0;
  const put = (index: number) => {
    if (x < width) indices[y * width + x] = index;
    x++;
  };
  const nibble = (byte: number, position: number) => (position % 2 === 0 ? byte >> 4 : byte & 15);
  return {
    indices,
    hasRoom: () => y < height,
    isComplete: () => y >= height || (y === height - 1 && x >= width),
    run(count: number, value: number) {
      // Only what fits is written: a file full of overlong runs must not cost more time than its pixels.
      const room = Math.min(count, width - x);
      for (let i = 0; i < room; i++) put(isNibbles ? nibble(value, i) : value);
    },
    /** Copies `count` indices and tells how many bytes they took: an even number. */
    literal(count: number, bytes: Uint8Array): number {
      for (let i = 0; i < count; i++) put(isNibbles ? nibble(bytes[i >> 1] ?? 0, i) : (bytes[i] ?? 0));
      return Math.ceil((isNibbles ? Math.ceil(count / 2) : count) / 2) * 2;
    },
    nextLine() {
      x = 0;
      y++;
    },
    skip(right: number, down: number) {
      x += right;
      y += down;
    },
  };
}
