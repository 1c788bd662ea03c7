import { packSamples } from './write-png.ts';

/** A tag with its values, as numbers of a field type or as raw bytes. */
export type TiffTag = readonly [
  tag: number,
  type: 1 | 2 | 3 | 4 | 7 | 13 | 16,
  values: readonly number[] | Uint8Array,
];

/** The contents of a TIFF. The samples are given pixel by pixel and written in one strip per plane. */
export interface TiffInput {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly channels: number;
  readonly photometric: number;
  readonly samples: readonly number[];
  readonly order?: 'big' | 'little';
  readonly isBig?: boolean;
  readonly isPlanar?: boolean;
  /** The compressed bytes of the strip, instead of samples. */
  readonly strip?: Uint8Array;
  readonly tags?: readonly TiffTag[];
}

const bytesPerType = { 1: 1, 2: 1, 3: 2, 4: 4, 7: 1, 13: 4, 16: 8 } as const;

/** Writes a TIFF or BigTIFF with one directory. */
export function writeTiff(input: TiffInput): Buffer {
  const { width, height, depth, channels, photometric, order = 'little', isBig = false } = input;
  const strips = input.strip === undefined ? makeStrips(input, order) : [Buffer.from(input.strip)];
  const headerBytes = isBig ? 16 : 8;
  let position = headerBytes;
  const offsets = strips.map((strip) => {
    const offset = position;
    position += strip.length + (strip.length & 1);
    return offset;
  });
  const tags: TiffTag[] = [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, Array.from({ length: channels }, () => depth)],
    [259, 3, [1]],
    [262, 3, [photometric]],
    [273, 4, offsets],
    [277, 3, [channels]],
    [278, 4, [height]],
    [279, 4, strips.map((strip) => strip.length)],
    [284, 3, [input.isPlanar === true ? 2 : 1]],
  ];
  const tagsByNumber = new Map([...tags, ...(input.tags ?? [])].map((tag) => [tag[0], tag]));
  const directory = writeDirectory(
    [...tagsByNumber.values()].sort((a, b) => a[0] - b[0]),
    position,
    order,
    isBig,
  );
  return Buffer.concat([
    Buffer.from(order === 'little' ? 'II' : 'MM'),
    ...(isBig
      ? [
          encodeNumber(43, 2, order),
          encodeNumber(8, 2, order),
          encodeNumber(0, 2, order),
          encodeNumber(position, 8, order),
        ]
      : [encodeNumber(42, 2, order), encodeNumber(position, 4, order)]),
    ...strips.map((strip) => Buffer.concat([strip, Buffer.alloc(strip.length & 1)])),
    directory,
  ]);
}

function makeStrips(
  { samples, width, channels, depth, isPlanar }: TiffInput,
  order: 'big' | 'little',
): Buffer[] {
  const planes = isPlanar === true ? channels : 1;
  return Array.from({ length: planes }, (_, plane) => {
    const planeSamples = planes === 1 ? samples : samples.filter((_value, n) => n % channels === plane);
    const rowSamples = width * (planes === 1 ? channels : 1);
    const rows = Array.from({ length: planeSamples.length / rowSamples }, (_row, y) =>
      packSamples(planeSamples.slice(y * rowSamples, (y + 1) * rowSamples), depth, order),
    );
    return Buffer.concat(rows);
  });
}

function writeDirectory(
  tags: readonly TiffTag[],
  offset: number,
  order: 'big' | 'little',
  isBig: boolean,
): Buffer {
  const wordBytes = isBig ? 8 : 4;
  const end = offset + (isBig ? 8 : 2) + tags.length * (isBig ? 20 : 12) + wordBytes;
  const entries: Buffer[] = [];
  const overflow: Buffer[] = [];
  let overflowOffset = end;
  for (const [tag, type, values] of tags) {
    const bytes = Buffer.concat([...values].map((value) => encodeNumber(value, bytesPerType[type], order)));
    const fitsInline = bytes.length <= wordBytes;
    const value = fitsInline
      ? Buffer.concat([bytes, Buffer.alloc(wordBytes - bytes.length)])
      : encodeNumber(overflowOffset, wordBytes, order);
    entries.push(
      encodeNumber(tag, 2, order),
      encodeNumber(type, 2, order),
      encodeNumber(values.length, wordBytes, order),
      value,
    );
    if (fitsInline) continue;
    const paddedBytes = Buffer.concat([bytes, Buffer.alloc(bytes.length & 1)]);
    overflow.push(paddedBytes);
    overflowOffset += paddedBytes.length;
  }
  return Buffer.concat([
    encodeNumber(tags.length, isBig ? 8 : 2, order),
    ...entries,
    encodeNumber(0, wordBytes, order),
    ...overflow,
  ]);
}

function encodeNumber(value: number, size: 1 | 2 | 4 | 8, order: 'big' | 'little'): Buffer {
  const bytes = Buffer.alloc(size);
  if (size === 8) {
    if (order === 'big') bytes.writeBigUInt64BE(BigInt(value));
    else bytes.writeBigUInt64LE(BigInt(value));
  } else if (order === 'big') bytes.writeUIntBE(value, 0, size);
  else bytes.writeUIntLE(value, 0, size);
  return bytes;
}
