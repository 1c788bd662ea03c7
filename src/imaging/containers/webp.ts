/** A chunk of a WebP. Its data is `bytes.subarray(start, start + length)`, unless the file is truncated inside it. */
interface WebpChunk {
  readonly type: string;
  readonly start: number;
  readonly length: number;
  readonly isComplete: boolean;
}

/** The structure of a WebP. For a truncated file, it describes only the part that is present. */
export interface WebpStructure {
  /** Size of the canvas; `undefined` if the picture's header is missing or damaged. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly isAnimated: boolean;
  /** Number of frames. */
  readonly frames: number;
  /** The chunks of a still image of the first frame, in file order: headers, colour profile, the frame and metadata. */
  readonly firstFrameChunks: readonly WebpChunk[];
  /** Whether the file contains all chunks with pixels. */
  readonly hasAllPixels: boolean;
  /** Whether all chunks are complete and their total length matches the declared length of the file. */
  readonly isWellFormed: boolean;
}

const headerBytes = 12;
const chunkHeaderBytes = 8;
const pixelChunks = new Set(['VP8 ', 'VP8L', 'ANMF']);
/** Chunks that are kept with the first frame, in addition to its pixels. */
const auxiliaryChunks = new Set(['VP8X', 'ICCP', 'ANIM', 'ALPH', 'EXIF', 'XMP ']);
/** Chunk types by their 32-bit value. Decoding each type to a string would be slow: animations may have many chunks. */
const knownTypes = new Map(
  [...pixelChunks, ...auxiliaryChunks].map((type) => [Buffer.from(type, 'latin1').readUInt32BE(), type]),
);

/** Parses the chunks of a WebP (RFC 9649) in one pass; `undefined` if the signature is missing. */
export function readWebp(bytes: Uint8Array): WebpStructure | undefined {
  if (!isWebp(bytes)) return undefined;
  const view = toDataView(bytes);
  const end = chunkHeaderBytes + view.getUint32(4, true);
  const chunksByType = new Map<string, WebpChunk>();
  let frames = 0;
  let areChunksComplete = true;
  let offset = headerBytes;
  // Chunks beyond the declared length are read only if no picture has been found yet.
  while (offset + chunkHeaderBytes <= bytes.length && (offset < end || frames === 0)) {
    const chunk = readChunk(view, offset);
    const hasPixels = pixelChunks.has(chunk.type);
    if (hasPixels) frames++;
    // Metadata, which may contain the orientation, follows the pixels.
    const isNeeded = hasPixels ? frames === 1 : auxiliaryChunks.has(chunk.type) && chunk.isComplete;
    if (isNeeded && !chunksByType.has(chunk.type)) chunksByType.set(chunk.type, chunk);
    areChunksComplete &&= chunk.isComplete;
    offset = chunk.start + chunk.length + (chunk.length % 2);
    if (hasPixels && !chunk.isComplete) break;
  }
  const chunks = [...chunksByType.values()];
  const isAnimated = chunksByType.has('ANMF');
  // Some writers omit the padding byte of the last chunk, either in the file or in the declared length.
  const endsEarly = isAnimated && (!areChunksComplete || end > bytes.length + 1);
  return {
    size: readCanvasSize(view, chunks),
    isAnimated,
    frames,
    firstFrameChunks: chunks,
    hasAllPixels: frames > 0 && chunks.every((chunk) => chunk.isComplete) && !endsEarly,
    isWellFormed: areChunksComplete && end === offset && end <= bytes.length,
  };
}

/** Returns whether the bytes start with the WebP signature. */
export function isWebp(bytes: Uint8Array): boolean {
  return textAt(bytes, 0) === 'RIFF' && textAt(bytes, 8) === 'WEBP';
}

/** Returns a copy of the file that contains only the first frame, with the correct length in its header. */
export function extractFirstWebpFrame(bytes: Uint8Array, { firstFrameChunks }: WebpStructure): Uint8Array {
  const parts = firstFrameChunks.flatMap(({ start, length }) => [
    bytes.subarray(start - chunkHeaderBytes, start + length),
    new Uint8Array(length % 2),
  ]);
  const header = Buffer.from(bytes.subarray(0, headerBytes));
  header.writeUInt32LE(4 + parts.reduce((sum, part) => sum + part.length, 0), 4);
  return Buffer.concat([header, ...parts]);
}

function readChunk(view: DataView, offset: number): WebpChunk {
  const length = view.getUint32(offset + 4, true);
  const start = offset + chunkHeaderBytes;
  const type = knownTypes.get(view.getUint32(offset)) ?? 'other';
  return { type, start, length, isComplete: start + length <= view.byteLength };
}

function readCanvasSize(view: DataView, chunks: readonly WebpChunk[]): WebpStructure['size'] {
  const [first] = chunks;
  if (first === undefined || first.start + 10 > view.byteLength) return undefined;
  const { type, start } = first;
  if (type === 'VP8X')
    return { width: readUint24(view, start + 4) + 1, height: readUint24(view, start + 7) + 1 };
  if (type === 'VP8 ') {
    const width = view.getUint16(start + 6, true) & 0x3fff;
    return { width, height: view.getUint16(start + 8, true) & 0x3fff };
  }
  if (type !== 'VP8L') return undefined;
  const bits = view.getUint32(start + 1, true);
  return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
}

function readUint24(view: DataView, offset: number): number {
  return view.getUint16(offset, true) + view.getUint8(offset + 2) * 65_536;
}

function textAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function toDataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
