import { AppError } from '../../errors.ts';
import { corrupt, truncated, unsupported, type Verdict, verdictError } from '../damage/verdict.ts';

/** The headers of a BMP. Offsets are relative to the start of the file. */
export interface BmpHeader {
  readonly width: number;
  readonly height: number;
  /** Whether rows are stored from top to bottom. Most files store them from bottom to top. */
  readonly isTopDown: boolean;
  /** Bits per pixel: 1, 2, 4, 8, 16, 24 or 32. */
  readonly bits: number;
  readonly coding: 'plain' | 'rle4' | 'rle8';
  /** Bit masks of red, green, blue and alpha for 16 and 32 bits. If the alpha mask is 0, the picture is opaque. */
  readonly masks: readonly [number, number, number, number];
  readonly palette: { readonly offset: number; readonly entryBytes: 3 | 4; readonly length: number };
  readonly pixelOffset: number;
}

const fileHeaderBytes = 14;
const coreHeaderBytes = 12;
const infoHeaderBytes = 40;
const codings = { 0: 'plain', 1: 'rle8', 2: 'rle4', 3: 'plain', 6: 'plain' } as const;
const bitFieldCodings: ReadonlySet<number> = new Set([3, 6]);
const bitsByCoding = { plain: [1, 2, 4, 8, 16, 24, 32], rle8: [8], rle4: [4] } as const;

/** Returns the error for a rejected BMP. The verdict's reason completes a sentence that begins with "it". */
export function bmpError({ code, reason }: Verdict): AppError {
  return verdictError({ code, reason: `it ${reason}` }, 'bmp');
}

/**
 * Parses the headers of a BMP: Windows (BITMAPINFOHEADER to V5) and OS/2 (12, 16 and 64 bytes). Allocates no memory
 * based on sizes declared in the file. Layout: Microsoft, "Bitmap Storage"; OS/2 2.0 Presentation Manager,
 * BITMAPINFOHEADER2.
 * @throws AppError `picture_cut`, `picture_corrupt` for contradictory headers, `picture_unsupported`, or
 *   `format_not_allowed` for an embedded JPEG or PNG.
 */
export function readBmpHeader(file: Uint8Array): BmpHeader {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (view.byteLength < fileHeaderBytes + coreHeaderBytes)
    throw bmpError(truncated('ends within its header'));
  if (view.getUint16(0) !== 0x424d) throw bmpError(corrupt('does not start with BM'));
  const headerBytes = view.getUint32(fileHeaderBytes, true);
  const isCore = headerBytes === coreHeaderBytes;
  if (!isCore && (headerBytes < 16 || headerBytes > 1024)) {
    throw bmpError(corrupt(`has a header with an unexpected length of ${headerBytes} bytes`));
  }
  if (view.byteLength < fileHeaderBytes + headerBytes) throw bmpError(truncated('ends within its header'));
  return isCore ? readCoreHeader(view) : readInfoHeader(view, headerBytes);
}

function readCoreHeader(view: DataView): BmpHeader {
  const size = { width: view.getUint16(18, true), height: view.getUint16(20, true), isTopDown: false };
  const bits = view.getUint16(24, true);
  const palette = { offset: fileHeaderBytes + coreHeaderBytes, entryBytes: 3, length: 0 } as const;
  return validateHeader(view, { ...size, bits, coding: 'plain', masks: defaultMasks(bits), palette });
}

function readInfoHeader(view: DataView, headerBytes: number): BmpHeader {
  // Short OS/2 headers omit trailing fields, which are then 0.
  const readField = (offset: number) =>
    offset + 4 <= headerBytes ? view.getUint32(fileHeaderBytes + offset, true) : 0;
  const signedHeight = view.getInt32(22, true);
  const bits = view.getUint16(28, true);
  const compression = readField(16);
  // A 40-byte header is followed by its masks. A longer header contains them, at the same offset in the file.
  const hasMasks = bitFieldCodings.has(compression);
  const maskBytes = hasMasks && headerBytes === infoHeaderBytes ? (compression === 6 ? 16 : 12) : 0;
  return validateHeader(view, {
    width: view.getInt32(18, true),
    height: Math.abs(signedHeight),
    isTopDown: signedHeight < 0,
    bits,
    coding: parseCoding(compression, headerBytes),
    masks: hasMasks ? readMasks(view, headerBytes, compression) : defaultMasks(bits),
    palette: { offset: fileHeaderBytes + headerBytes + maskBytes, entryBytes: 4, length: readField(32) },
  });
}

function parseCoding(compression: number, headerBytes: number): BmpHeader['coding'] {
  if (compression === 4 || compression === 5) {
    const embeddedFormat = compression === 4 ? 'JPEG' : 'PNG';
    throw new AppError(
      'format_not_allowed',
      `This BMP contains only an embedded ${embeddedFormat}; save it as an ordinary BMP.`,
    );
  }
  const coding = codings[compression as keyof typeof codings];
  // In OS/2's 64-byte header, 3 means Huffman coding for fax pages.
  if (coding === undefined || (compression === 3 && headerBytes === 64)) {
    throw bmpError(unsupported(`uses compression ${compression}, which is not supported`));
  }
  return coding;
}

function readMasks(view: DataView, headerBytes: number, compression: number): BmpHeader['masks'] {
  const start = fileHeaderBytes + infoHeaderBytes;
  const hasAlpha = headerBytes >= 56 || compression === 6;
  if (start + (hasAlpha ? 16 : 12) > view.byteLength)
    throw bmpError(truncated('ends within its colour masks'));
  const readMask = (index: number) => view.getUint32(start + index * 4, true);
  return [readMask(0), readMask(1), readMask(2), hasAlpha ? readMask(3) : 0];
}

function defaultMasks(bits: number): BmpHeader['masks'] {
  return bits === 16 ? [0x7c00, 0x03e0, 0x001f, 0] : [0xff0000, 0x00ff00, 0x0000ff, 0];
}

function validateHeader(view: DataView, header: Omit<BmpHeader, 'pixelOffset'>): BmpHeader {
  const { width, height, bits, coding } = header;
  if (width < 1 || height < 1) throw bmpError(corrupt(`declares a size of ${width} × ${height} pixels`));
  if (!(bitsByCoding[coding] as readonly number[]).includes(bits)) {
    throw bmpError(corrupt(`declares an invalid depth of ${bits} bits per pixel`));
  }
  const pixelOffset = view.getUint32(10, true);
  if (pixelOffset < fileHeaderBytes + coreHeaderBytes || pixelOffset >= view.byteLength) {
    throw bmpError(truncated('has no pixels at the offset in its header'));
  }
  return { ...header, palette: clipPalette(header, pixelOffset), pixelOffset };
}

/** Clips the palette to the entries that fit between the headers and the pixels. */
function clipPalette(
  { bits, palette }: Omit<BmpHeader, 'pixelOffset'>,
  pixelOffset: number,
): BmpHeader['palette'] {
  if (bits > 8) return { ...palette, length: 0 };
  const availableLength = Math.max(0, Math.floor((pixelOffset - palette.offset) / palette.entryBytes));
  const declaredLength = palette.length === 0 ? 2 ** bits : palette.length;
  const length = Math.min(declaredLength, 2 ** bits, availableLength);
  if (length === 0) throw bmpError(corrupt('has no colour palette'));
  return { ...palette, length };
}
