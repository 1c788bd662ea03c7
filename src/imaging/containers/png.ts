import { inflateSync } from 'node:zlib';

/** A chunk of a PNG. Its data is `bytes.subarray(start, start + length)`, unless the file is truncated inside it. */
export interface PngChunk {
  readonly type: string;
  readonly start: number;
  readonly length: number;
  /** Whether the file contains the whole chunk, including its checksum. */
  readonly isComplete: boolean;
}

/** The fields of IHDR. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly bitDepth: number;
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGB + alpha. */
  readonly colorType: number;
  readonly isInterlaced: boolean;
}

/** Coding-independent code points (ITU-T H.273) of a picture. */
export interface CodePoints {
  readonly primaries: number;
  readonly transfer: number;
  readonly matrix: number;
  readonly isFullRange: boolean;
}

/** CIE xy coordinates of a white point and three primaries. */
export interface Chromaticities {
  readonly white: readonly [number, number];
  readonly red: readonly [number, number];
  readonly green: readonly [number, number];
  readonly blue: readonly [number, number];
}

/** The information in the chunks before a PNG's pixels. Truncated chunks and chunks that are too short are ignored. */
export interface PngStructure {
  readonly header: PngHeader;
  /** Chunks before the first IDAT, in file order. */
  readonly chunks: readonly PngChunk[];
  readonly hasPixels: boolean;
  /** Number of frames declared by acTL. */
  readonly animationFrames: number | undefined;
  readonly hasTransparency: boolean;
  readonly cicp: CodePoints | undefined;
  readonly hasProfile: boolean;
  /** The ICC profile in iCCP. It is decompressed on each access. */
  readonly iccProfile: Uint8Array | undefined;
  readonly isSrgb: boolean;
  /** Encoding exponent from gAMA: 0.45455 for the usual gamma of 2.2. */
  readonly gamma: number | undefined;
  readonly chromaticities: Chromaticities | undefined;
}

const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

/** No writer puts this many chunks before the pixels. The limit protects against files with a million empty chunks. */
const maxChunksBeforePixels = 4096;

/** Printer profiles are at most a few megabytes. Without a limit, a compressed profile could expand to any size. */
const maxProfileBytes = 16 * 1024 * 1024;

/** Returns whether the bytes start with the PNG signature. */
export function isPng(bytes: Uint8Array): boolean {
  return signature.every((byte, offset) => bytes[offset] === byte);
}

/** Yields the chunks of a PNG up to the end of the file; nothing if the signature is missing. */
export function* readPngChunks(bytes: Uint8Array): Generator<PngChunk, void, undefined> {
  if (!isPng(bytes)) return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let offset = 8; offset + 8 <= bytes.length; ) {
    const length = view.getUint32(offset);
    const end = offset + 12 + length;
    const type = String.fromCharCode(...bytes.subarray(offset + 4, offset + 8));
    yield { type, start: offset + 8, length, isComplete: end <= bytes.length };
    offset = end;
  }
}

/** Parses a PNG up to its first IDAT; `undefined` if the signature or IHDR is missing. */
export function readPng(bytes: Uint8Array): PngStructure | undefined {
  const chunks: PngChunk[] = [];
  let hasPixels = false;
  for (const chunk of readPngChunks(bytes)) {
    hasPixels = chunk.type === 'IDAT';
    if (hasPixels || chunk.type === 'IEND' || chunks.length >= maxChunksBeforePixels) break;
    chunks.push(chunk);
  }
  const header = readHeader(bytes, chunks[0]);
  if (header === undefined) return undefined;
  const readData = (type: string, minLength: number) => readChunk(bytes, chunks, type, minLength);
  return {
    header,
    chunks,
    hasPixels,
    animationFrames: readData('acTL', 8)?.getUint32(0),
    hasTransparency: chunks.some(({ type }) => type === 'tRNS'),
    cicp: readCodePoints(readData('cICP', 4)),
    hasProfile: chunks.some(({ type }) => type === 'iCCP'),
    // Computed lazily, because most callers need only the size.
    get iccProfile() {
      return readProfile(readData('iCCP', 3));
    },
    isSrgb: readData('sRGB', 1) !== undefined,
    gamma: readGamma(readData('gAMA', 4)),
    chromaticities: readChromaticities(readData('cHRM', 32)),
  };
}

function readHeader(bytes: Uint8Array, chunk: PngChunk | undefined): PngHeader | undefined {
  const data = chunk === undefined ? undefined : readChunk(bytes, [chunk], 'IHDR', 13);
  if (data === undefined) return undefined;
  return {
    width: data.getUint32(0),
    height: data.getUint32(4),
    bitDepth: data.getUint8(8),
    colorType: data.getUint8(9),
    isInterlaced: data.getUint8(12) === 1,
  };
}

/** Returns the data of the first chunk of a type, if it is complete and has at least `minLength` bytes. */
function readChunk(
  bytes: Uint8Array,
  chunks: readonly PngChunk[],
  type: string,
  minLength: number,
): DataView | undefined {
  const chunk = chunks.find((candidate) => candidate.type === type);
  if (chunk === undefined || !chunk.isComplete || chunk.length < minLength) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset + chunk.start, chunk.length);
}

function readCodePoints(data: DataView | undefined): CodePoints | undefined {
  if (data === undefined) return undefined;
  return {
    primaries: data.getUint8(0),
    transfer: data.getUint8(1),
    matrix: data.getUint8(2),
    isFullRange: data.getUint8(3) === 1,
  };
}

/**
 * Decompresses the profile in iCCP. The chunk contains a name of at most 79 bytes, a zero byte, the compression method
 * (0 for deflate) and the compressed profile.
 */
function readProfile(data: DataView | undefined): Uint8Array | undefined {
  if (data === undefined) return undefined;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const nameEnd = bytes.subarray(0, 80).indexOf(0);
  if (nameEnd < 0 || bytes[nameEnd + 1] !== 0) return undefined;
  try {
    return inflateSync(bytes.subarray(nameEnd + 2), { maxOutputLength: maxProfileBytes });
  } catch {
    return undefined;
  }
}

function readGamma(data: DataView | undefined): number | undefined {
  const value = data?.getUint32(0) ?? 0;
  return value === 0 ? undefined : value / 100_000;
}

function readChromaticities(data: DataView | undefined): Chromaticities | undefined {
  if (data === undefined) return undefined;
  const readPair = (offset: number) =>
    [data.getInt32(offset) / 100_000, data.getInt32(offset + 4) / 100_000] as const;
  return { white: readPair(0), red: readPair(8), green: readPair(16), blue: readPair(24) };
}
