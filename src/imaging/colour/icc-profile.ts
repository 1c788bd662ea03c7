import type { Chromaticities } from '../containers/png.ts';
import type { TransferCurve } from './code-points.ts';
import {
  computeAdaptationMatrix,
  applyMatrix,
  d50,
  invertMatrix,
  type Matrix,
  multiplyMatrices,
  type Triple,
} from './matrix.ts';

const headerBytes = 128;

/**
 * Returns the matrix that converts linear RGB to XYZ under D50; `undefined` for degenerate chromaticities.
 * Source: Lindbloom, "RGB/XYZ Matrices".
 */
export function computeRgbToXyzMatrix({ white, red, green, blue }: Chromaticities): Matrix | undefined {
  const [w, r, g, b] = [toXyz(white), toXyz(red), toXyz(green), toXyz(blue)];
  if (w === undefined || r === undefined || g === undefined || b === undefined) return undefined;
  const columns: Matrix = [r[0], g[0], b[0], r[1], g[1], b[1], r[2], g[2], b[2]];
  const inverse = invertMatrix(columns);
  const adaptation = computeAdaptationMatrix(w, d50);
  if (inverse === undefined || adaptation === undefined) return undefined;
  const [sr, sg, sb] = applyMatrix(inverse, w);
  return multiplyMatrices(adaptation, multiplyMatrices(columns, [sr, 0, 0, 0, sg, 0, 0, 0, sb]));
}

/** Converts xy chromaticity to XYZ with Y = 1. */
function toXyz([x, y]: readonly [number, number]): Triple | undefined {
  return y > 0 ? [x / y, 1, (1 - x - y) / y] : undefined;
}

/**
 * Encodes an RGB colour space as an ICC profile (version 4, with a matrix and curves). Returns `undefined` for
 * degenerate chromaticities.
 */
export function encodeRgbProfile(chromaticities: Chromaticities, curve: TransferCurve): Buffer | undefined {
  const matrix = computeRgbToXyzMatrix(chromaticities);
  if (matrix === undefined) return undefined;
  const [xr, xg, xb, yr, yg, yb, zr, zg, zb] = matrix;
  const curveTag = encodeCurveTag(curve);
  return encodeProfile([
    ['desc', encodeTextTag('Primaries and curve declared by the file')],
    ['cprt', encodeTextTag('None')],
    ['wtpt', encodeXyzTag(d50)],
    ['rXYZ', encodeXyzTag([xr, yr, zr])],
    ['gXYZ', encodeXyzTag([xg, yg, zg])],
    ['bXYZ', encodeXyzTag([xb, yb, zb])],
    ['rTRC', curveTag],
    ['gTRC', curveTag],
    ['bTRC', curveTag],
  ]);
}

/** Returns whether bytes have the header and tag table of an ICC profile. */
export function isIccProfile(bytes: Uint8Array): boolean {
  if (bytes.length < headerBytes + 4) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const tagCount = view.getUint32(headerBytes);
  // The signature "acsp" has the same offset in every version of the format.
  if (view.getUint32(36) !== 0x61637370 || view.getUint32(0) > bytes.length) return false;
  return tagCount > 0 && headerBytes + 4 + tagCount * 12 <= bytes.length;
}

/** Returns the colour space of a profile: `RGB `, `GRAY`, `CMYK` … */
export function readProfileColourSpace(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes.subarray(16, 20));
}

function encodeProfile(tags: readonly (readonly [name: string, data: Buffer])[]): Buffer {
  const table = Buffer.alloc(4 + tags.length * 12);
  table.writeUInt32BE(tags.length, 0);
  const parts: Buffer[] = [];
  let offset = headerBytes + table.length;
  for (const [n, [name, data]] of tags.entries()) {
    table.write(name, 4 + n * 12, 'latin1');
    table.writeUInt32BE(offset, 8 + n * 12);
    table.writeUInt32BE(data.length, 12 + n * 12);
    parts.push(data);
    offset += data.length;
  }
  const header = Buffer.alloc(headerBytes);
  header.writeUInt32BE(offset, 0);
  header.writeUInt32BE(0x04300000, 8);
  header.write('mntrRGB XYZ ', 12, 'latin1');
  // Strict readers reject profiles without a date.
  for (const [n, dateField] of [2026, 1, 1].entries()) header.writeUInt16BE(dateField, 24 + n * 2);
  header.write('acsp', 36, 'latin1');
  encodeXyz(d50).copy(header, 68);
  return Buffer.concat([header, table, ...parts]);
}

function encodeCurveTag({ g, a, b, c, d }: TransferCurve): Buffer {
  return Buffer.concat([
    Buffer.from('para\0\0\0\0\0\x03\0\0', 'latin1'),
    ...[g, a, b, c, d].map(encodeFixed),
  ]);
}

function encodeXyzTag(value: Triple): Buffer {
  return Buffer.concat([Buffer.from('XYZ \0\0\0\0', 'latin1'), encodeXyz(value)]);
}

function encodeXyz(value: Triple): Buffer {
  return Buffer.concat(value.map(encodeFixed));
}

/** Encodes an s15Fixed16Number. */
function encodeFixed(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(value * 65_536))));
  return bytes;
}

/** Encodes a multiLocalizedUnicodeType with one English text, padded to a multiple of four bytes. */
function encodeTextTag(text: string): Buffer {
  const body = Buffer.from(text, 'utf16le').swap16();
  const header = Buffer.alloc(28);
  header.write('mluc', 0, 'latin1');
  header.writeUInt32BE(1, 8);
  header.writeUInt32BE(12, 12);
  header.write('enUS', 16, 'latin1');
  header.writeUInt32BE(body.length, 20);
  header.writeUInt32BE(28, 24);
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 3)]);
}
