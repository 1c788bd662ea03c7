import { Readable } from 'node:stream';
import { constants, crc32, createInflate, deflateSync, inflateSync } from 'node:zlib';
import { isPng, type PngChunk, readPngChunks, type PngHeader, readPng } from '../containers/png.ts';
import { corrupt, truncated, type Diagnosis, unreadable, unsupported, type Verdict } from './verdict.ts';

/** Makes zlib decompress truncated data as far as possible. */
const allowTruncation = { finishFlush: constants.Z_SYNC_FLUSH };

/** Maximum size of the rows to repack. A decoder child does not have enough memory for two copies of larger rows. */
const maxRepackedBytes = 2 ** 28;

/** Determines why a PNG was rejected. Checks the CRCs first, since a damaged length makes a file look truncated. */
export async function diagnosePng(bytes: Uint8Array): Promise<Diagnosis> {
  if (!isPng(bytes)) return unreadable();
  let hasEnd = false;
  for (const chunk of readPngChunks(bytes)) {
    const damage = checkChunk(bytes, chunk);
    if (damage !== undefined) return damage;
    if (chunk.type === 'CgBI') {
      return unsupported('the CgBI variant, which Apple uses on iPhones, is not supported');
    }
    hasEnd = chunk.type === 'IEND';
    if (hasEnd) break;
  }
  const header = readPng(bytes)?.header;
  if (header === undefined) return hasEnd ? unreadable() : truncated();
  const requiredBytes = countRowBytes(header);
  if (requiredBytes === undefined) return corrupt('its header is invalid');
  if (await hasAllRows(bytes, requiredBytes)) return 'complete';
  return hasEnd ? corrupt('its compressed pixels are damaged') : truncated();
}

/**
 * Compresses a PNG's pixels again and returns a complete file. If a file is truncated, the image library drops the last
 * row, even if that row is complete.
 */
export function repackPng(bytes: Uint8Array): Uint8Array {
  const header = readPng(bytes)?.header;
  const requiredBytes = header && countRowBytes(header);
  const firstPixelChunk = readPngChunks(bytes).find(({ type }) => type === 'IDAT');
  if (requiredBytes === undefined || requiredBytes > maxRepackedBytes || firstPixelChunk === undefined)
    return bytes;
  // Some writers store more rows than the header declares.
  const options = { ...allowTruncation, maxOutputLength: requiredBytes + 65_536 };
  const rows = inflateSync(Buffer.concat(readPixelData(bytes)), options).subarray(0, requiredBytes);
  const pixels = deflateSync(rows, { level: 1 });
  const leadingBytes = bytes.subarray(0, firstPixelChunk.start - 8);
  return Buffer.concat([leadingBytes, makeChunk('IDAT', pixels), makeChunk('IEND', Buffer.alloc(0))]);
}

function makeChunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const lengthAndChecksum = Buffer.alloc(8);
  lengthAndChecksum.writeUInt32BE(data.length, 0);
  lengthAndChecksum.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([lengthAndChecksum.subarray(0, 4), body, lengthAndChecksum.subarray(4)]);
}

function checkChunk(bytes: Uint8Array, { type, start, length, isComplete }: PngChunk): Verdict | undefined {
  if (!/^[A-Za-z]{4}$/.test(type)) return corrupt('its structure is damaged');
  // Chunks whose names start with a lower-case letter do not affect the pixels.
  if (!isComplete || /^[a-z]/.test(type)) return undefined;
  const end = start + length;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isIntact = crc32(bytes.subarray(start - 4, end)) === view.getUint32(end);
  return isIntact ? undefined : corrupt(`the checksum of its ${type} chunk does not match`);
}

const channelsByColorType: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** The horizontal start, vertical start, horizontal step and vertical step of each Adam7 pass. */
const adam7Passes = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/** Returns the total size of all filtered rows in bytes; `undefined` if the header is inconsistent. */
function countRowBytes({ width, height, bitDepth, colorType, isInterlaced }: PngHeader): number | undefined {
  const bits = (channelsByColorType[colorType] ?? 0) * bitDepth;
  if (bits === 0 || width === 0 || height === 0) return undefined;
  const countBytes = (columns: number, rows: number) =>
    columns === 0 ? 0 : rows * (1 + Math.ceil((columns * bits) / 8));
  if (!isInterlaced) return countBytes(width, height);
  return adam7Passes.reduce((sum, [left, top, columnStep, rowStep]) => {
    const columns = Math.max(0, Math.ceil((width - left) / columnStep));
    return sum + countBytes(columns, Math.max(0, Math.ceil((height - top) / rowStep)));
  }, 0);
}

function readPixelData(bytes: Uint8Array): Uint8Array[] {
  const chunks = readPngChunks(bytes).filter(({ type }) => type === 'IDAT');
  return chunks.map(({ start, length }) => bytes.subarray(start, start + length)).toArray();
}

/**
 * Returns whether all rows can be decompressed. Decompresses in parts, to avoid keeping all pixels in memory.
 */
async function hasAllRows(bytes: Uint8Array, requiredBytes: number): Promise<boolean> {
  let decompressedBytes = 0;
  const rowStream = Readable.from(readPixelData(bytes)).pipe(createInflate(allowTruncation));
  try {
    for await (const part of rowStream as AsyncIterable<Uint8Array>) {
      decompressedBytes += part.length;
      if (decompressedBytes >= requiredBytes) break;
    }
  } catch {
    return false;
  }
  return decompressedBytes >= requiredBytes;
}
