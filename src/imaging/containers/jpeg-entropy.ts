import { type HuffmanTable, nextJpegSegment } from './jpeg.ts';

/** Reads the entropy-coded data of a scan bit by bit. Bits beyond the end are 0. */
export interface EntropyReader {
  /** Reads a code and returns its symbol in the table; -1 if no code matches. */
  readonly readSymbol: (table: HuffmanDecoder) => number;
  readonly readBits: (count: number) => number;
  /**
   * Skips the restart marker with this number (0 to 7). If the marker is missing, returns `truncated` at the end of
   * the data and `other` anywhere else.
   */
  readonly skipRestartMarker: (number: number) => 'skipped' | 'truncated' | 'other';
  /** Returns whether a read went past the end. */
  readonly hasOverrun: () => boolean;
  /** Returns the current offset. At the end of the data, this is the offset of a marker or the end of the file. */
  readonly offset: () => number;
}

/** A Huffman table prepared for decoding. */
export interface HuffmanDecoder {
  /** Indexed by the next 8 bits: the code's length × 256, plus its value. Entries for longer codes are 0. */
  readonly shortCodes: Uint16Array;
  /** Indexed by code length: the number to add to a code to calculate the index of its value. */
  readonly offsets: Int32Array;
  /** Indexed by code length: the largest code, or -1 if there is none. */
  readonly largestCodes: Int32Array;
  readonly values: Uint8Array;
}

/** Prepares a table for decoding (ITU-T T.81, annex C and F.2.2.3). */
export function makeHuffmanDecoder({ counts, values }: HuffmanTable): HuffmanDecoder {
  const shortCodes = new Uint16Array(256);
  const offsets = new Int32Array(17);
  const largestCodes = new Int32Array(17).fill(-1);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1] ?? 0;
    offsets[length] = index - code;
    if (count > 0) largestCodes[length] = code + count - 1;
    if (length <= 8) {
      for (let n = 0; n < count; n++) {
        const first = (code + n) << (8 - length);
        shortCodes.fill(length * 256 + (values[index + n] ?? 0), first, first + 2 ** (8 - length));
      }
    }
    index += count;
    code = (code + count) * 2;
  }
  return { shortCodes, offsets, largestCodes, values };
}

/** Returns a reader that starts at `start`. */
export function makeEntropyReader(bytes: Uint8Array, start: number): EntropyReader {
  let offset = start;
  let buffer = 0;
  let bitCount = 0;
  let missingBits = 0;

  /** Buffers at least 16 bits, which is enough for any code or value. */
  function fill(): void {
    while (bitCount <= 16) {
      const byte = offset < bytes.length ? (bytes[offset] ?? 0) : 0xff;
      const isStuffed = byte === 0xff && bytes[offset + 1] === 0;
      if (byte === 0xff && !isStuffed) {
        buffer <<= 8;
        missingBits += 8;
      } else {
        buffer = (buffer << 8) | byte;
        offset += isStuffed ? 2 : 1;
      }
      bitCount += 8;
    }
  }

  function takeBits(size: number): number {
    bitCount -= size;
    return (buffer >>> bitCount) & (2 ** size - 1);
  }

  return {
    readSymbol(table) {
      if (bitCount < 16) fill();
      const entry = table.shortCodes[(buffer >>> (bitCount - 8)) & 255] ?? 0;
      if (entry > 0) {
        bitCount -= entry >> 8;
        return entry & 255;
      }
      for (let length = 9; length <= 16; length++) {
        const code = (buffer >>> (bitCount - length)) & (2 ** length - 1);
        if (code > (table.largestCodes[length] ?? -1)) continue;
        bitCount -= length;
        return table.values[code + (table.offsets[length] ?? 0)] ?? -1;
      }
      return -1;
    },
    readBits(size) {
      if (size === 0) return 0;
      if (bitCount < 16) fill();
      return takeBits(size);
    },
    skipRestartMarker(number) {
      const isDataExhausted =
        bitCount - missingBits < 8 && (bytes[offset] === 0xff || offset >= bytes.length);
      buffer = 0;
      bitCount = 0;
      missingBits = 0;
      const segment = nextJpegSegment(bytes, offset);
      if (segment?.marker !== 0xd0 + number) return isDataExhausted ? 'truncated' : 'other';
      offset = segment.end;
      return 'skipped';
    },
    hasOverrun: () => missingBits > bitCount,
    offset: () => offset,
  };
}
