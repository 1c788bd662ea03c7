/** A chunk of a WebP. Its data is `bytes.subarray(start, start + length)`, unless the file is truncated inside it. */
interface WebpChunk {
  readonly type: string;
  readonly start: number;
  readonly length: number;
  readonly isWhole: boolean;
}

/** The structure of a WebP, up to the end of a truncated file. */
export interface WebpStructure {
  /** Size of the canvas; `undefined` if the picture's header is missing or damaged. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly isAnimated: boolean;
  readonly frames: number;
  /** The chunks needed to decode the first frame, in file order: headers, colour profile, one frame. */
  readonly firstFrame: readonly WebpChunk[];
  /** Whether the file contains all chunks with pixels. */
  readonly hasAllPixels: boolean;
  /** Whether all chunks are complete, and their total matches the declared length of the file. */
  readonly isTidy: boolean;
}

const headBytes = 12;
const chunkHeadBytes = 8;
const pixelChunks = new Set(['VP8 ', 'VP8L', 'ANMF']);
/** Chunks needed for decoding, besides the pixels. */
const sideChunks = new Set(['VP8X', 'ICCP', 'ANIM', 'ALPH', 'EXIF']);
/** Chunk names as numbers. An animation may have a million chunks, and comparing strings would dominate the cost. */
const knownTypes = new Map(
  [...pixelChunks, ...sideChunks].map((type) => [Buffer.from(type, 'latin1').readUInt32BE(), type]),
);

/** Parses the chunks of a WebP (RFC 9649) in one pass; `undefined` if the signature is missing. */
export function readWebp(bytes: Uint8Array): WebpStructure | undefined {
  if (!isWebp(bytes)) return undefined;
  const view = viewOf(bytes);
  const end = chunkHeadBytes + view.getUint32(4, true);
  const firstFrame = new Map<string, WebpChunk>();
  let frames = 0;
  let isWhole = true;
  let at = headBytes;
  // Chunks beyond the declared length count only if no picture has been found yet.
  while (at + chunkHeadBytes <= bytes.length && (at < end || frames === 0)) {
    const chunk = chunkAt(view, at);
    const isPixels = pixelChunks.has(chunk.type);
    if (isPixels) frames++;
    // EXIF follows the pixels; it may contain the orientation.
    const isNeeded = isPixels ? frames === 1 : sideChunks.has(chunk.type) && chunk.isWhole;
    if (isNeeded && !firstFrame.has(chunk.type)) firstFrame.set(chunk.type, chunk);
    isWhole &&= chunk.isWhole;
    at = chunk.start + chunk.length + (chunk.length % 2);
    if (isPixels && !chunk.isWhole) break;
  }
  const chunks = [...firstFrame.values()];
  const isAnimated = firstFrame.has('ANMF');
  // Some writers omit the padding byte of the last chunk, in the file or in its length.
  const endsEarly = isAnimated && (!isWhole || end > bytes.length + 1);
  return {
    size: sizeOf(view, chunks),
    isAnimated,
    frames,
    firstFrame: chunks,
    hasAllPixels: frames > 0 && chunks.every((chunk) => chunk.isWhole) && !endsEarly,
    isTidy: isWhole && end === at && end <= bytes.length,
  };
}

/** Returns whether the bytes start with the signature of a WebP. */
export function isWebp(bytes: Uint8Array): boolean {
  return textAt(bytes, 0) === 'RIFF' && textAt(bytes, 8) === 'WEBP';
}

/** Returns a copy of the file with the first frame only, and with the correct length in its header. */
export function webpOfFirstFrame(bytes: Uint8Array, { firstFrame }: WebpStructure): Uint8Array {
  const parts = firstFrame.flatMap(({ start, length }) => [
    bytes.subarray(start - chunkHeadBytes, start + length),
    new Uint8Array(length % 2),
  ]);
  const head = Buffer.from(bytes.subarray(0, headBytes));
  head.writeUInt32LE(4 + parts.reduce((sum, part) => sum + part.length, 0), 4);
  return Buffer.concat([head, ...parts]);
}

function chunkAt(view: DataView, at: number): WebpChunk {
  const length = view.getUint32(at + 4, true);
  const start = at + chunkHeadBytes;
  const type = knownTypes.get(view.getUint32(at)) ?? 'other';
  return { type, start, length, isWhole: start + length <= view.byteLength };
}

function sizeOf(view: DataView, chunks: readonly WebpChunk[]): WebpStructure['size'] {
  const [first] = chunks;
  if (first === undefined || first.start + 10 > view.byteLength) return undefined;
  const { type, start } = first;
  if (type === 'VP8X') return { width: uint24(view, start + 4) + 1, height: uint24(view, start + 7) + 1 };
  if (type === 'VP8 ') {
    const width = view.getUint16(start + 6, true) & 0x3fff;
    return { width, height: view.getUint16(start + 8, true) & 0x3fff };
  }
  if (type !== 'VP8L') return undefined;
  const bits = view.getUint32(start + 1, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function uint24(view: DataView, at: number): number {
  return view.getUint16(at, true) + view.getUint8(at + 2) * 65_536;
}

function textAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
