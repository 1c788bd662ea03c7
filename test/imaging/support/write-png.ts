import { crc32, deflateSync } from 'node:zlib';

/** The contents of a PNG. `samples` contains all rows, without filter bytes. */
export interface PngInput {
  readonly width: number;
  readonly height: number;
  readonly depth: 1 | 2 | 4 | 8 | 16;
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGB + alpha. */
  readonly colorType: 0 | 2 | 3 | 4 | 6;
  readonly samples: readonly number[];
  /** Chunks between IHDR and IDAT. */
  readonly chunks?: readonly (readonly [type: string, data: Uint8Array])[];
}

const channelCounts = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

/** Writes a PNG without filters. */
export function writePng({ width, height, depth, colorType, samples, chunks = [] }: PngInput): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([depth, colorType], 8);
  const rowSamples = width * channelCounts[colorType];
  const rows = Array.from({ length: height }, (_, y) => {
    const row = samples.slice(y * rowSamples, (y + 1) * rowSamples);
    return Buffer.concat([Buffer.of(0), packSamples(row, depth, 'big')]);
  });
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    pngChunk('IHDR', header),
    ...chunks.map(([type, data]) => pngChunk(type, data)),
    pngChunk('IDAT', deflateSync(Buffer.concat(rows))),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

/** Returns a chunk with its length and checksum. */
export function pngChunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  return Buffer.concat([uint32(data.length), body, uint32(crc32(body))]);
}

/** Returns the data of an `iCCP` chunk. */
export function iccChunk(profile: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from('profile\0\0', 'latin1'), deflateSync(profile)]);
}

/** Encodes 32-bit big-endian numbers. */
export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  for (const [n, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, n * 4);
  return bytes;
}

/** Packs the samples of a row into `depth` bits each. Pads the row to whole bytes. */
export function packSamples(samples: readonly number[], depth: number, order: 'big' | 'little'): Buffer {
  if (depth >= 8) {
    const bytes = Buffer.alloc((samples.length * depth) / 8);
    for (const [n, value] of samples.entries()) {
      if (depth === 8) bytes.writeUInt8(value, n);
      else if (order === 'big') bytes.writeUIntBE(value, (n * depth) / 8, depth / 8);
      else bytes.writeUIntLE(value, (n * depth) / 8, depth / 8);
    }
    return bytes;
  }
  const bytes = Buffer.alloc(Math.ceil((samples.length * depth) / 8));
  for (const [n, value] of samples.entries()) {
    const bit = n * depth;
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (value << (8 - depth - (bit & 7)));
  }
  return bytes;
}
