import { crc32, deflateSync } from 'node:zlib';

/** Longest side of a placeholder, in pixels: enough for its aspect ratio. */
const maxSide = 120;

/** Light grey, in sRGB. */
const grey = 0xdd;

/** Returns a grey PNG with the aspect ratio of a box. */
export type MakePlaceholder = (box: { readonly width: number; readonly height: number }) => Buffer;

/** @see MakePlaceholder */
export function makePlaceholders(): MakePlaceholder {
  const placeholders = new Map<string, Buffer>();
  return ({ width, height }) => {
    const scale = Math.min(1, maxSide / Math.max(width, height));
    const [columns, rows] = [width, height].map((side) => Math.max(1, Math.round(side * scale))) as [
      number,
      number,
    ];
    const key = `${columns}x${rows}`;
    const placeholder = placeholders.get(key) ?? encodeGreyPng(columns, rows);
    placeholders.set(key, placeholder);
    return placeholder;
  };
}

const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');

/** Returns a PNG with 8-bit grey pixels (PNG, third edition, 5.2 and 11.2). */
function encodeGreyPng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.writeUInt8(8, 8);
  // Each row begins with the byte 0, which means that it is not filtered.
  const row = Buffer.concat([Buffer.alloc(1), Buffer.alloc(width, grey)]);
  const pixels = deflateSync(Buffer.concat(Array<Buffer>(height).fill(row)));
  return Buffer.concat([
    signature,
    encodeChunk('IHDR', header),
    encodeChunk('IDAT', pixels),
    encodeChunk('IEND', Buffer.alloc(0)),
  ]);
}

function encodeChunk(type: string, data: Buffer): Buffer {
  const content = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  checksum.writeUInt32BE(crc32(content));
  return Buffer.concat([length, content, checksum]);
}
