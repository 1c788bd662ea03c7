import { bmpError, type BmpHeader } from '../containers/bmp.ts';
import { truncated } from '../damage/verdict.ts';

/** Decoded pixels: 8 bits per channel, rows from top to bottom, no padding. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;
}

/**
 * Decodes a BMP. The image library has no decoder for this format. The caller has parsed the header and checked the
 * declared size against the limits. Without an alpha mask, the fourth byte of 32-bit pixels is ignored. An alpha
 * channel that would make the whole picture invisible is also ignored.
 * @throws AppError `picture_cut` if pixels are missing.
 */
export function decodeBmp(file: Uint8Array, header: BmpHeader): RawPicture {
  if (header.coding !== 'plain') return applyPalette(file, header, decodeRunLengths(file, header));
  const stride = Math.ceil((header.width * header.bits) / 32) * 4;
  const pixels = file.subarray(header.pixelOffset);
  // The padding after the last row may be missing.
  const requiredBytes = stride * (header.height - 1) + Math.ceil((header.width * header.bits) / 8);
  if (pixels.length < requiredBytes)
    throw bmpError(truncated(`ends after ${pixels.length} of ${requiredBytes} bytes of pixel data`));
  if (header.bits <= 8) return applyPalette(file, header, unpackIndices(pixels, header, stride));
  if (header.bits === 24) return decodeBgr(pixels, header, stride);
  return decodeWithMasks(pixels, header, stride);
}

function unpackIndices(pixels: Uint8Array, header: BmpHeader, stride: number): Uint8Array {
  const { width, height, bits } = header;
  const indices = new Uint8Array(width * height);
  const mask = 2 ** bits - 1;
  for (let row = 0; row < height; row++) {
    const start = stride * row;
    const target = width * row;
    for (let x = 0; x < width; x++) {
      const bit = x * bits;
      indices[target + x] = ((pixels[start + (bit >> 3)] ?? 0) >> (8 - bits - (bit & 7))) & mask;
    }
  }
  return indices;
}

function applyPalette(file: Uint8Array, header: BmpHeader, indices: Uint8Array): RawPicture {
  const { width, height, palette } = header;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    let target = toTargetRow(header, row) * width * 3;
    for (let x = 0; x < width; x++) {
      // As in other decoders, an index outside the palette means black.
      const index = indices[row * width + x] ?? 0;
      const entry = palette.offset + index * palette.entryBytes;
      const isInPalette = index < palette.length;
      data[target++] = isInPalette ? (file[entry + 2] ?? 0) : 0;
      data[target++] = isInPalette ? (file[entry + 1] ?? 0) : 0;
      data[target++] = isInPalette ? (file[entry] ?? 0) : 0;
    }
  }
  return { width, height, channels: 3, data };
}

function decodeBgr(pixels: Uint8Array, header: BmpHeader, stride: number): RawPicture {
  const { width, height } = header;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    let source = stride * row;
    let target = toTargetRow(header, row) * width * 3;
    for (let x = 0; x < width; x++, source += 3) {
      data[target++] = pixels[source + 2] ?? 0;
      data[target++] = pixels[source + 1] ?? 0;
      data[target++] = pixels[source] ?? 0;
    }
  }
  return { width, height, channels: 3, data };
}

function decodeWithMasks(pixels: Uint8Array, header: BmpHeader, stride: number): RawPicture {
  const { width, height, bits, masks } = header;
  const view = new DataView(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const [red, green, blue, alpha] = masks.map(makeChannelReader) as [
    ChannelReader,
    ChannelReader,
    ChannelReader,
    ChannelReader,
  ];
  const channels = masks[3] === 0 ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    let target = toTargetRow(header, row) * width * channels;
    for (let x = 0; x < width; x++) {
      const offset = stride * row + x * (bits / 8);
      const value = bits === 16 ? view.getUint16(offset, true) : view.getUint32(offset, true);
      data[target++] = red(value);
      data[target++] = green(value);
      data[target++] = blue(value);
      if (channels === 4) data[target++] = alpha(value);
    }
  }
  if (channels === 4 && isInvisible(data)) makeOpaque(data);
  return { width, height, channels, data };
}

type ChannelReader = (value: number) => number;

/** Returns a function that extracts the channel that `mask` selects and scales it to 0–255. */
function makeChannelReader(mask: number): ChannelReader {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const max = mask >>> shift;
  return (value) => Math.round((((value & mask) >>> shift) * 255) / max);
}

function isInvisible(rgba: Uint8Array): boolean {
  for (let offset = 3; offset < rgba.length; offset += 4) if (rgba[offset] !== 0) return false;
  return true;
}

function makeOpaque(rgba: Uint8Array): void {
  for (let offset = 3; offset < rgba.length; offset += 4) rgba[offset] = 255;
}

function toTargetRow(header: BmpHeader, row: number): number {
  return header.isTopDown ? row : header.height - 1 - row;
}

/** Escape codes, which follow a run length of 0. */
const endOfLine = 0;
const endOfBitmap = 1;
const delta = 2;

/**
 * Decodes RLE4 and RLE8 to palette indices, with one byte per pixel and the rows in the file's order. Skipped pixels
 * get index 0. Some encoders write runs that are longer than the rest of the row; these runs are truncated.
 * Source: Microsoft, "Bitmap Compression".
 * @throws AppError `picture_cut` if the file ends before its last row is complete.
 */
function decodeRunLengths(file: Uint8Array, header: BmpHeader): Uint8Array {
  const canvas = makeCanvas(header);
  let offset = header.pixelOffset;
  while (offset + 1 < file.length && canvas.hasRowsLeft()) {
    const count = file[offset] ?? 0;
    const value = file[offset + 1] ?? 0;
    offset += 2;
    if (count > 0) canvas.writeRun(count, value);
    else if (value === endOfLine) canvas.startNextLine();
    else if (value === endOfBitmap) return canvas.indices;
    else if (value === delta) {
      canvas.skipPixels(file[offset] ?? 0, file[offset + 1] ?? 0);
      offset += 2;
    } else offset += canvas.writeLiteral(value, file.subarray(offset));
  }
  if (!canvas.isComplete()) throw bmpError(truncated('ends before its last row is complete'));
  return canvas.indices;
}

function makeCanvas({ width, height, coding }: BmpHeader) {
  const indices: Uint8Array = new Uint8Array(width * height);
  const isRle4 = coding === 'rle4';
  let x = 0;
  let y = 0;
  const writeIndex = (index: number) => {
    if (x < width) indices[y * width + x] = index;
    x++;
  };
  const readNibble = (byte: number, position: number) => (position % 2 === 0 ? byte >> 4 : byte & 15);
  return {
    indices,
    hasRowsLeft: () => y < height,
    isComplete: () => y >= height || (y === height - 1 && x >= width),
    writeRun(count: number, value: number) {
      // Only the part inside the row is written, so that long runs do not take extra time.
      const visibleCount = Math.min(count, width - x);
      for (let i = 0; i < visibleCount; i++) writeIndex(isRle4 ? readNibble(value, i) : value);
    },
    /** Copies `count` indices. Returns the number of bytes that they occupy in the file, which is always even. */
    writeLiteral(count: number, bytes: Uint8Array): number {
      for (let i = 0; i < count; i++)
        writeIndex(isRle4 ? readNibble(bytes[i >> 1] ?? 0, i) : (bytes[i] ?? 0));
      return Math.ceil((isRle4 ? Math.ceil(count / 2) : count) / 2) * 2;
    },
    startNextLine() {
      x = 0;
      y++;
    },
    skipPixels(right: number, down: number) {
      x += right;
      y += down;
    },
  };
}
