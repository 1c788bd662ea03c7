import { type BmpHeader, refusedBmp } from '../containers/bmp.ts';
import { type PaletteIndices, readRunLengths } from './bmp-run-length.ts';
import { cut } from '../damage/verdict.ts';

/** Pixels of one picture, rows from top to bottom, 8 bits for each channel, no padding. */
export interface RawPicture {
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
  readonly data: Uint8Array;
}

/**
 * Decodes the pixels of a BMP whose header was read by `readBmpHeader` and whose size was checked against the limits.
 * The image library has no BMP decoder. The fourth byte of plain 32-bit pixels is no alpha; an alpha mask is
 * honoured, unless it would make the whole picture invisible.
 * @throws AppError `picture_cut` when pixels are missing.
 */
export function decodeBmp(file: Uint8Array, header: BmpHeader): RawPicture {
  if (header.coding !== 'plain') return fromPalette(file, header, readRunLengths(file, header));
  const stride = Math.ceil((header.width * header.bits) / 32) * 4;
  const pixels = file.subarray(header.pixelOffset);
  // The padding behind the last row may be missing.
  const needed = stride * (header.height - 1) + Math.ceil((header.width * header.bits) / 8);
  if (pixels.length < needed)
    throw refusedBmp(cut(`ends after ${pixels.length} of ${needed} bytes of pixels`));
  if (header.bits <= 8) return fromPalette(file, header, unpackIndices(pixels, header, stride));
  if (header.bits === 24) return fromBgr(pixels, header, stride);
  return fromMasks(pixels, header, stride);
}

function unpackIndices(pixels: Uint8Array, header: BmpHeader, stride: number): PaletteIndices {
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

function fromPalette(file: Uint8Array, header: BmpHeader, indices: PaletteIndices): RawPicture {
  const { width, height, palette } = header;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    let target = targetRow(header, row) * width * 3;
    for (let x = 0; x < width; x++) {
      // An index beyond the palette is black, as in other decoders.
      const index = indices[row * width + x] ?? 0;
      const entry = palette.offset + index * palette.entryBytes;
      const known = index < palette.length;
      data[target++] = known ? (file[entry + 2] ?? 0) : 0;
      data[target++] = known ? (file[entry + 1] ?? 0) : 0;
      data[target++] = known ? (file[entry] ?? 0) : 0;
    }
  }
  return { width, height, channels: 3, data };
}

function fromBgr(pixels: Uint8Array, header: BmpHeader, stride: number): RawPicture {
  const { width, height } = header;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    let source = stride * row;
    let target = targetRow(header, row) * width * 3;
    for (let x = 0; x < width; x++, source += 3) {
      data[target++] = pixels[source + 2] ?? 0;
      data[target++] = pixels[source + 1] ?? 0;
      data[target++] = pixels[source] ?? 0;
    }
  }
  return { width, height, channels: 3, data };
}

function fromMasks(pixels: Uint8Array, header: BmpHeader, stride: number): RawPicture {
  const { width, height, bits, masks } = header;
  const view = new DataView(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  const [red, green, blue, alpha] = masks.map(channelReader) as [Reader, Reader, Reader, Reader];
  const channels = masks[3] === 0 ? 3 : 4;
  const data = new Uint8Array(width * height * channels);
  for (let row = 0; row < height; row++) {
    let target = targetRow(header, row) * width * channels;
    for (let x = 0; x < width; x++) {
      const at = stride * row + x * (bits / 8);
      const value = bits === 16 ? view.getUint16(at, true) : view.getUint32(at, true);
      data[target++] = red(value);
      data[target++] = green(value);
      data[target++] = blue(value);
      if (channels === 4) data[target++] = alpha(value);
    }
  }
  if (channels === 4 && isInvisible(data)) makeOpaque(data);
  return { width, height, channels, data };
}

type Reader = (value: number) => number;

/** Reads the channel under `mask`, scaled to 0–255. */
function channelReader(mask: number): Reader {
  if (mask === 0) return () => 0;
  const shift = 31 - Math.clz32(mask & -mask);
  const most = mask >>> shift;
  return (value) => Math.round((((value & mask) >>> shift) * 255) / most);
}

function isInvisible(rgba: Uint8Array): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 0) return false;
  return true;
}

function makeOpaque(rgba: Uint8Array): void {
  for (let at = 3; at < rgba.length; at += 4) rgba[at] = 255;
}

function targetRow(header: BmpHeader, row: number): number {
  return header.topDown ? row : header.height - 1 - row;
}
