/** A component (colour channel) of a JPEG. */
export interface JpegComponent {
  readonly id: number;
  /** Sampling factors, 1 to 4. */
  readonly horizontal: number;
  readonly vertical: number;
}

/** The frame header (SOF) of a JPEG. */
export interface JpegFrame {
  /** Number of the SOF marker: 0 baseline, 1 extended, 2 progressive, 3 lossless, 9 and up arithmetic … */
  readonly process: number;
  /** Bits per sample. */
  readonly precision: number;
  readonly width: number;
  readonly height: number;
  readonly components: readonly JpegComponent[];
}

/** The header of a scan (SOS). */
export interface JpegScan {
  readonly components: ReadonlyArray<{
    /** Index into the frame's components. */
    readonly index: number;
    readonly dcTable: number;
    readonly acTable: number;
  }>;
  /** Range of coefficients in a progressive scan. */
  readonly firstCoefficient: number;
  readonly lastCoefficient: number;
  /** Bit position that the previous scan of these coefficients reached (0 in the first scan). */
  readonly previousBitPosition: number;
  /** Bit position that this scan reaches. The coefficients are complete at position 0. */
  readonly bitPosition: number;
}

/** A Huffman table: the number of codes of each length from 1 to 16, and their values in order. */
export interface HuffmanTable {
  readonly counts: Uint8Array;
  readonly values: Uint8Array;
}

/** A marker segment. Its content is `bytes.subarray(start, end)`. */
export interface JpegSegment {
  readonly marker: number;
  readonly start: number;
  readonly end: number;
  readonly isComplete: boolean;
}

/** Marker codes (ITU-T T.81, table B.1). */
export const jpegMarkers = { dht: 0xc4, soi: 0xd8, eoi: 0xd9, sos: 0xda, dnl: 0xdc, dri: 0xdd } as const;

/**
 * Returns the next marker segment at or after `offset`; `undefined` if there is none. Like decoders, skips padding,
 * stuffed bytes and other bytes that are not markers.
 */
export function nextJpegSegment(bytes: Uint8Array, offset: number): JpegSegment | undefined {
  for (let position = offset; position + 1 < bytes.length; position++) {
    const marker = bytes[position + 1] ?? 0;
    if (bytes[position] === 0xff && marker !== 0 && marker !== 0xff)
      return readSegment(bytes, position, marker);
  }
  return undefined;
}

function readSegment(bytes: Uint8Array, offset: number, marker: number): JpegSegment {
  const start = offset + 2;
  const hasNoContent = marker === 0x01 || (marker >= 0xd0 && marker <= jpegMarkers.eoi);
  if (hasNoContent) return { marker, start, end: start, isComplete: true };
  const length = ((bytes[start] ?? 0) << 8) | (bytes[start + 1] ?? 0);
  const end = start + Math.max(2, length);
  return { marker, start: start + 2, end: Math.min(end, bytes.length), isComplete: end <= bytes.length };
}

/** Returns whether a marker starts a frame: SOF0 to SOF15, except the tables and extensions in that range. */
export function isFrameMarker(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && marker !== jpegMarkers.dht && marker !== 0xc8 && marker !== 0xcc;
}

/** Parses a frame header; `undefined` if it is inconsistent. */
export function readJpegFrame(bytes: Uint8Array, segment: JpegSegment): JpegFrame | undefined {
  const { marker, start, end } = segment;
  const count = bytes[start + 5] ?? 0;
  if (count < 1 || count > 4 || start + 6 + count * 3 > end) return undefined;
  const components: JpegComponent[] = [];
  for (let offset = start + 6; components.length < count; offset += 3) {
    const factors = bytes[offset + 1] ?? 0;
    const [horizontal, vertical] = [factors >> 4, factors & 15];
    if (horizontal < 1 || horizontal > 4 || vertical < 1 || vertical > 4) return undefined;
    components.push({ id: bytes[offset] ?? 0, horizontal, vertical });
  }
  return {
    process: marker - 0xc0,
    precision: bytes[start] ?? 0,
    height: ((bytes[start + 1] ?? 0) << 8) | (bytes[start + 2] ?? 0),
    width: ((bytes[start + 3] ?? 0) << 8) | (bytes[start + 4] ?? 0),
    components,
  };
}

/** Parses a scan header; `undefined` if it is inconsistent or contradicts the frame. */
export function readJpegScan(
  bytes: Uint8Array,
  { start, end }: JpegSegment,
  frame: JpegFrame,
): JpegScan | undefined {
  const count = bytes[start] ?? 0;
  const parametersOffset = start + 1 + count * 2;
  if (count < 1 || count > 4 || parametersOffset + 3 > end) return undefined;
  const components: JpegScan['components'][number][] = [];
  for (let offset = start + 1; offset < parametersOffset; offset += 2) {
    const index = frame.components.findIndex(({ id }) => id === bytes[offset]);
    const tables = bytes[offset + 1] ?? 0;
    if (index < 0) return undefined;
    components.push({ index, dcTable: tables >> 4, acTable: tables & 15 });
  }
  const approximation = bytes[parametersOffset + 2] ?? 0;
  return {
    components,
    firstCoefficient: bytes[parametersOffset] ?? 0,
    lastCoefficient: bytes[parametersOffset + 1] ?? 0,
    previousBitPosition: approximation >> 4,
    bitPosition: approximation & 15,
  };
}

/** Reads the tables of a DHT segment into `tables`. The key is the table number, plus 16 for AC tables. */
export function readHuffmanTables(
  bytes: Uint8Array,
  { start, end }: JpegSegment,
  tables: Map<number, HuffmanTable>,
): void {
  for (let offset = start; offset + 17 <= end; ) {
    const counts = bytes.subarray(offset + 1, offset + 17);
    const values = bytes.subarray(offset + 17, offset + 17 + counts.reduce((sum, count) => sum + count, 0));
    tables.set(bytes[offset] ?? 0, { counts, values });
    offset += 17 + values.length;
  }
}
