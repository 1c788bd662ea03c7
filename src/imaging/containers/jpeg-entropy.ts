import { type HuffmanTable, nextJpegSegment } from './jpeg.ts';

/** Reads the entropy-coded data of a scan bit by bit. Bits beyond the end are 0. */
export interface EntropyReader {
  /** Returns the next symbol of a table; -1 if no code matches. */
  readonly readSymbol: (table: HuffmanDecoder) => number;
  readonly readBits: (count: number) => number;
  /** Skips the restart marker `number`. If it is missing, returns `truncated` at the end of the data, else `other`. */
  readonly skipRestartMarker: (number: number) => 'skipped' | 'truncated' | 'other';
  /** Whether a read went past the end. */
  readonly hasOverrun: () => boolean;
  /** Returns the current offset. After the data, this is a marker or the end of the file. */
  readonly offset: () => number;
}

/** A Huffman table prepared for decoding. */
export interface HuffmanDecoder {
  /** Indexed by the next 8 bits: length of the code × 256 + its value; 0 for longer codes. */
  readonly short: Uint16Array;
  /** Indexed by code length: the offset from a code to the index of its value, and the largest code. */
  readonly offsets: Int32Array;
  readonly largest: Int32Array;
  readonly values: Uint8Array;
}

/** Prepares a table for decoding (ITU-T T.81, annex C and F.2.2.3). */
export function makeHuffmanDecoder({ counts, values }: HuffmanTable): HuffmanDecoder {
  const short = new Uint16Array(256);
  const offsets = new Int32Array(17);
  const largest = new Int32Array(17).fill(-1);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= 16; length++) {
    const count = counts[length - 1] ?? 0;
    offsets[length] = index - code;
    if (count > 0) largest[length] = code + count - 1;
    if (length <= 8) {
      for (let n = 0; n < count; n++) {
        const first = (code + n) << (8 - length);
        short.fill(length * 256 + (values[index + n] ?? 0), first, first + 2 ** (8 - length));
      }
    }
    index += count;
    code = (code + count) * 2;
  }
  return { short, offsets, largest, values };
}

/** Returns a reader that starts at `start`. */
export function makeEntropyReader(bytes: Uint8Array, start: number): EntropyReader {
  let offset = start;
  let buffer = 0;
  let count = 0;
  let missing = 0;

  /** Buffers at least 16 bits, so that reading a code or a value needs no further check. */
  function fill(): void {
    while (count <= 16) {
      const byte = offset < bytes.length ? (bytes[offset] ?? 0) : 0xff;
      const isStuffed = byte === 0xff && bytes[offset + 1] === 0;
      if (byte === 0xff && !isStuffed) {
        buffer <<= 8;
        missing += 8;
      } else {
        buffer = (buffer << 8) | byte;
        offset += isStuffed ? 2 : 1;
      }
      count += 8;
    }
  }

  function take(size: number): number {
    count -= size;
    return (buffer >>> count) & (2 ** size - 1);
  }

  return {
    readSymbol(table) {
      if (count < 16) fill();
      const entry = table.short[(buffer >>> (count - 8)) & 255] ?? 0;
      if (entry > 0) {
        count -= entry >> 8;
        return entry & 255;
      }
      for (let length = 9; length <= 16; length++) {
        const code = (buffer >>> (count - length)) & (2 ** length - 1);
        if (code > (table.largest[length] ?? -1)) continue;
        count -= length;
        return table.values[code + (table.offsets[length] ?? 0)] ?? -1;
      }
      return -1;
    },
    readBits(size) {
      if (size === 0) return 0;
      if (count < 16) fill();
      return take(size);
    },
    skipRestartMarker(number) {
      const isUsedUp = count - missing < 8 && (bytes[offset] === 0xff || offset >= bytes.length);
      buffer = 0;
      count = 0;
      missing = 0;
      const segment = nextJpegSegment(bytes, offset);
      if (segment?.marker !== 0xd0 + number) return isUsedUp ? 'truncated' : 'other';
      offset = segment.end;
      return 'skipped';
    },
    hasOverrun: () => missing > count,
    offset: () => offset,
  };
}
