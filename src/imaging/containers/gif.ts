/** An image block of a GIF. */
export interface GifFrame {
  /** Offset of the image descriptor. */
  readonly start: number;
  /** Position on the logical screen. */
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  /** Offset of the LZW minimum code size, which precedes the data blocks. */
  readonly dataStart: number;
  /** End of the last data block, or of the file if it is truncated. */
  readonly end: number;
  /** Whether the file contains all data blocks, including the terminating block. */
  readonly isComplete: boolean;
}

/** The structure of a GIF. For a truncated file, it describes only the part that is present. */
export interface GifStructure {
  /** Size of the logical screen. */
  readonly width: number;
  readonly height: number;
  /** Number of frames. */
  readonly frames: number;
  readonly firstFrame: GifFrame | undefined;
  readonly lastFrame: GifFrame | undefined;
  readonly hasTrailer: boolean;
  /** Whether the file ends inside a block other than image data. */
  readonly endsInsideBlock: boolean;
}

const imageSeparator = 0x2c;
const extensionIntroducer = 0x21;
const trailer = 0x3b;
const screenBytes = 13;
const descriptorBytes = 10;

/**
 * Parses the blocks of a GIF (CompuServe, GIF89a) in one pass. As in browsers, the picture ends at a byte that does not
 * start a block. Returns `undefined` if there is no logical screen.
 */
export function readGif(bytes: Uint8Array): GifStructure | undefined {
  if (bytes.length < screenBytes || !isGif(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frames = 0;
  let firstFrame: GifFrame | undefined;
  let lastFrame: GifFrame | undefined;
  let offset = screenBytes + colourTableBytes(bytes[10] ?? 0);
  let endsInsideBlock = offset > bytes.length;
  while (offset < bytes.length) {
    if (bytes[offset] === imageSeparator) {
      if (offset + descriptorBytes >= bytes.length) {
        endsInsideBlock = true;
        break;
      }
      lastFrame = readFrame(view, offset);
      firstFrame ??= lastFrame;
      frames++;
      offset = lastFrame.end;
      if (!lastFrame.isComplete) break;
    } else if (bytes[offset] === extensionIntroducer) {
      const blocks = skipBlocks(bytes, offset + 2);
      offset = blocks.end;
      endsInsideBlock = !blocks.isComplete;
    } else break;
  }
  const size = { width: view.getUint16(6, true), height: view.getUint16(8, true) };
  return { ...size, frames, firstFrame, lastFrame, hasTrailer: bytes[offset] === trailer, endsInsideBlock };
}

/** Returns the file up to the end of its first frame, followed by a trailer. */
export function extractFirstGifFrame(bytes: Uint8Array, firstFrame: GifFrame): Uint8Array {
  return Buffer.concat([bytes.subarray(0, firstFrame.end), Buffer.from([trailer])]);
}

/** Returns whether the bytes start with the GIF signature. */
export function isGif(bytes: Uint8Array): boolean {
  return /^GIF8[79]a/.test(String.fromCharCode(...bytes.subarray(0, 6)));
}

/** Returns a copy of a GIF with the logical screen set to the area of one frame. */
export function cropGifToFrame(bytes: Uint8Array, { start, width, height }: GifFrame): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.writeUInt16LE(width, 6);
  copy.writeUInt16LE(height, 8);
  copy.writeUInt32LE(0, start + 1);
  return copy;
}

/** Returns the length in bytes of the colour table that the flags of a screen or frame declare. */
function colourTableBytes(flags: number): number {
  return (flags & 0x80) === 0 ? 0 : 3 * 2 ** ((flags & 7) + 1);
}

function readFrame(view: DataView, offset: number): GifFrame {
  const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const dataStart = offset + descriptorBytes + colourTableBytes(bytes[offset + 9] ?? 0);
  const { end, isComplete } = skipBlocks(bytes, dataStart + 1);
  return {
    start: offset,
    left: view.getUint16(offset + 1, true),
    top: view.getUint16(offset + 3, true),
    width: view.getUint16(offset + 5, true),
    height: view.getUint16(offset + 7, true),
    dataStart,
    end,
    isComplete,
  };
}

function skipBlocks(
  bytes: Uint8Array,
  start: number,
): { readonly end: number; readonly isComplete: boolean } {
  let offset = start;
  while (offset < bytes.length) {
    const length = bytes[offset] ?? 0;
    if (length === 0) return { end: offset + 1, isComplete: true };
    offset += 1 + length;
  }
  return { end: bytes.length, isComplete: false };
}

/**
 * Checks whether a frame's LZW data contains all of its pixels, without decoding them. A frame whose last block is
 * truncated may still be complete. Returns `corrupt` if the data becomes inconsistent before the last pixel.
 */
export function checkGifPixels(bytes: Uint8Array, frame: GifFrame): 'complete' | 'truncated' | 'corrupt' {
  const minCodeSize = bytes[frame.dataStart] ?? 0;
  if (minCodeSize < 1 || minCodeSize > 11) return frame.dataStart < bytes.length ? 'corrupt' : 'truncated';
  const requiredPixels = frame.width * frame.height;
  const clearCode = 2 ** minCodeSize;
  const stringLengths = new Uint32Array(4096).fill(1, 0, clearCode);
  const readCode = makeCodeReader(bytes, frame.dataStart + 1, frame.end);
  let knownCodes = clearCode + 2;
  let codeSize = minCodeSize + 1;
  let previousLength = 0;
  let pixelCount = 0;
  while (pixelCount < requiredPixels) {
    const code = readCode(codeSize);
    if (code === undefined || code === clearCode + 1) return 'truncated';
    if (code > knownCodes) return 'corrupt';
    if (code === clearCode) {
      knownCodes = clearCode + 2;
      codeSize = minCodeSize + 1;
      previousLength = 0;
      continue;
    }
    // The first code after a clear code adds no table entry.
    if (previousLength > 0 && knownCodes < 4096) {
      stringLengths[knownCodes] = previousLength + 1;
      knownCodes++;
      if (knownCodes === 2 ** codeSize && codeSize < 12) codeSize++;
    }
    previousLength = stringLengths[code] ?? 0;
    pixelCount += previousLength;
  }
  return 'complete';
}

/** Returns a function that reads codes of variable size from a chain of data blocks, lowest bits first. */
function makeCodeReader(bytes: Uint8Array, start: number, end: number): (size: number) => number | undefined {
  let offset = start;
  let blockBytesLeft = 0;
  let buffer = 0;
  let bufferedBits = 0;
  return (size) => {
    while (bufferedBits < size) {
      if (blockBytesLeft === 0) {
        blockBytesLeft = offset < end ? (bytes[offset] ?? 0) : 0;
        offset++;
        if (blockBytesLeft === 0) return undefined;
      }
      if (offset >= end) return undefined;
      buffer |= (bytes[offset] ?? 0) << bufferedBits;
      bufferedBits += 8;
      offset++;
      blockBytesLeft--;
    }
    const code = buffer & (2 ** size - 1);
    buffer >>>= size;
    bufferedBits -= size;
    return code;
  };
}
