/** An entry of a TIFF directory. Its values are at `offset`, inside the entry or elsewhere in the file. */
export interface TiffEntry {
  readonly tag: number;
  /** Field type (TIFF 6.0): 1 byte, 2 text, 3 short, 4 long, 5 rational … 16 long8. */
  readonly type: number;
  readonly count: number;
  readonly offset: number;
}

/** A directory (IFD): a picture, a reduced copy of a picture, or a set of additional tags. */
export interface TiffDirectory {
  readonly offset: number;
  readonly entries: ReadonlyMap<number, TiffEntry>;
  /** Whether the file contains all of its entries. */
  readonly isComplete: boolean;
}

/** The structure of a TIFF with at least one directory. */
export interface TiffStructure {
  readonly bytes: Uint8Array;
  readonly isLittleEndian: boolean;
  /** Whether the file is a BigTIFF, with 64-bit offsets. */
  readonly isBig: boolean;
  /** The directories in the order of their chain. */
  readonly directories: readonly [TiffDirectory, ...TiffDirectory[]];
  /** Whether the chain has an end. False if the chain points outside the file, loops or is too long. */
  readonly isChainComplete: boolean;
}

/** Tag numbers, by the names in TIFF 6.0 and its supplements. */
export const tiffTags = {
  newSubfileType: 254,
  imageWidth: 256,
  imageLength: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  make: 271,
  model: 272,
  stripOffsets: 273,
  orientation: 274,
  samplesPerPixel: 277,
  rowsPerStrip: 278,
  stripByteCounts: 279,
  planarConfiguration: 284,
  predictor: 317,
  colorMap: 320,
  tileWidth: 322,
  tileLength: 323,
  tileOffsets: 324,
  tileByteCounts: 325,
  subDirectories: 330,
  extraSamples: 338,
  sampleFormat: 339,
  jpegTables: 347,
  exif: 34665,
  iccProfile: 34675,
  dngVersion: 50706,
} as const;

/**
 * Maximum number of directories in the chain. Scanned books have hundreds of pages. The limit `MAX_FRAMES` is checked
 * later.
 */
const maxDirectories = 65_536;
/** Maximum number of entries per directory. Real directories have a few dozen, and maker notes have a few hundred. */
const maxEntries = 4096;
/**
 * Maximum number of entries in the whole chain. Directories may overlap, so the file size does not limit the number of
 * entries.
 */
const maxChainEntries = 131_072;
/** Maximum number of sub-directories of one entry. */
const maxSubDirectories = 64;

/** Size of a value in bytes, by field type. */
const bytesByType = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8];

/** Parses the directories of a classic TIFF or a BigTIFF; `undefined` if there is no first directory. */
export function readTiff(bytes: Uint8Array): TiffStructure | undefined {
  const header = readHeader(bytes);
  if (header === undefined) return undefined;
  const visitedOffsets = new Set<number>();
  const directories: TiffDirectory[] = [];
  let entryCount = 0;
  let offset = readOffset(header, header.isBig ? 8 : 4);
  while (offset !== 0 && !visitedOffsets.has(offset)) {
    if (directories.length >= maxDirectories || entryCount >= maxChainEntries) break;
    visitedOffsets.add(offset);
    const current = readDirectory(header, offset);
    if (current === undefined) break;
    directories.push(current.directory);
    entryCount += current.directory.entries.size;
    offset = current.nextOffset ?? offset;
  }
  const [first, ...others] = directories;
  if (first === undefined) return undefined;
  return { ...header, directories: [first, ...others], isChainComplete: offset === 0 };
}

/** Returns the directories that an entry of `directory` refers to, by default those in SubIFDs (330). */
export function readTiffSubDirectories(
  file: TiffStructure,
  directory: TiffDirectory,
  tag: number = tiffTags.subDirectories,
): TiffDirectory[] {
  return readTiffNumbers(file, directory, tag, maxSubDirectories)
    .map((offset) => readDirectory(file, offset)?.directory)
    .filter((subDirectory) => subDirectory !== undefined);
}

/**
 * Returns up to `limit` numbers of an entry; an empty array if the tag is missing, not numeric or outside the file.
 * Rationals become quotients. 64-bit integers above 2^53 lose precision.
 */
export function readTiffNumbers(
  file: Pick<TiffStructure, 'bytes' | 'isLittleEndian'>,
  directory: TiffDirectory,
  tag: number,
  limit = 256,
): number[] {
  const entry = directory.entries.get(tag);
  const readNumber = numberReaders[entry?.type ?? 0];
  if (entry === undefined || readNumber === undefined) return [];
  const size = bytesByType[entry.type] ?? 1;
  const availableCount = Math.floor((file.bytes.length - entry.offset) / size);
  const count = Math.max(0, Math.min(entry.count, limit, availableCount));
  const view = toDataView(file.bytes);
  return Array.from({ length: count }, (_, n) =>
    readNumber(view, entry.offset + n * size, file.isLittleEndian),
  );
}

/** Returns the first number of an entry. */
export function readTiffNumber(
  file: Pick<TiffStructure, 'bytes' | 'isLittleEndian'>,
  directory: TiffDirectory,
  tag: number,
): number | undefined {
  return readTiffNumbers(file, directory, tag, 1)[0];
}

/** Returns the raw bytes of an entry; `undefined` if the file does not contain all of them. */
export function readTiffBytes(
  { bytes }: Pick<TiffStructure, 'bytes'>,
  directory: TiffDirectory,
  tag: number,
): Uint8Array | undefined {
  const entry = directory.entries.get(tag);
  if (entry === undefined) return undefined;
  const end = entry.offset + entry.count * (bytesByType[entry.type] ?? 0);
  return end > entry.offset && end <= bytes.length ? bytes.subarray(entry.offset, end) : undefined;
}

type Header = Pick<TiffStructure, 'bytes' | 'isLittleEndian' | 'isBig'>;

function readHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < 8) return undefined;
  const view = toDataView(bytes);
  const order = view.getUint16(0);
  const isLittleEndian = order === 0x4949;
  if (!isLittleEndian && order !== 0x4d4d) return undefined;
  const version = view.getUint16(2, isLittleEndian);
  if (version === 42) return { bytes, isLittleEndian, isBig: false };
  return version === 43 && bytes.length >= 16 ? { bytes, isLittleEndian, isBig: true } : undefined;
}

function readDirectory(
  header: Header,
  offset: number,
): { directory: TiffDirectory; nextOffset: number | undefined } | undefined {
  const { bytes, isLittleEndian, isBig } = header;
  const view = toDataView(bytes);
  const countBytes = isBig ? 8 : 2;
  if (!Number.isSafeInteger(offset) || offset < 8 || offset + countBytes > bytes.length) return undefined;
  const count = isBig ? readOffset(header, offset) : view.getUint16(offset, isLittleEndian);
  const entryBytes = isBig ? 20 : 12;
  const entriesOffset = offset + countBytes;
  const availableCount = Math.min(count, Math.floor((bytes.length - entriesOffset) / entryBytes));
  const entries = new Map<number, TiffEntry>();
  for (let n = 0; n < Math.min(availableCount, maxEntries); n++) {
    const entry = readEntry(header, entriesOffset + n * entryBytes);
    // For duplicate tags, the first entry applies, as in libtiff.
    if (!entries.has(entry.tag)) entries.set(entry.tag, entry);
  }
  const end = entriesOffset + count * entryBytes;
  const hasNext = end + (isBig ? 8 : 4) <= bytes.length;
  return {
    directory: { offset, entries, isComplete: availableCount === count },
    nextOffset: hasNext ? readOffset(header, end) : undefined,
  };
}

function readEntry(header: Header, position: number): TiffEntry {
  const { bytes, isLittleEndian, isBig } = header;
  const view = toDataView(bytes);
  const type = view.getUint16(position + 2, isLittleEndian);
  const count = isBig ? readOffset(header, position + 4) : view.getUint32(position + 4, isLittleEndian);
  const valueOffset = position + (isBig ? 12 : 8);
  const isInline = count * (bytesByType[type] ?? 0) <= (isBig ? 8 : 4);
  const offset = isInline ? valueOffset : readOffset(header, valueOffset);
  return { tag: view.getUint16(position, isLittleEndian), type, count, offset };
}

function readOffset({ bytes, isLittleEndian, isBig }: Header, position: number): number {
  const view = toDataView(bytes);
  return isBig
    ? Number(view.getBigUint64(position, isLittleEndian))
    : view.getUint32(position, isLittleEndian);
}

function toDataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

type NumberReader = (view: DataView, position: number, isLittleEndian: boolean) => number;

const readByte: NumberReader = (view, position) => view.getUint8(position);
const readShort: NumberReader = (view, position, isLittleEndian) => view.getUint16(position, isLittleEndian);
const readLong: NumberReader = (view, position, isLittleEndian) => view.getUint32(position, isLittleEndian);
const readSignedLong: NumberReader = (view, position, isLittleEndian) =>
  view.getInt32(position, isLittleEndian);
const readLong8: NumberReader = (view, position, isLittleEndian) =>
  Number(view.getBigUint64(position, isLittleEndian));

/** Readers by field type. Text (2) is not numeric. The type named "undefined" (7) is read as bytes. */
const numberReaders: readonly (NumberReader | undefined)[] = [
  undefined,
  readByte,
  undefined,
  readShort,
  readLong,
  (view, position, isLittleEndian) =>
    readLong(view, position, isLittleEndian) / readLong(view, position + 4, isLittleEndian),
  (view, position) => view.getInt8(position),
  readByte,
  (view, position, isLittleEndian) => view.getInt16(position, isLittleEndian),
  readSignedLong,
  (view, position, isLittleEndian) =>
    readSignedLong(view, position, isLittleEndian) / readSignedLong(view, position + 4, isLittleEndian),
  (view, position, isLittleEndian) => view.getFloat32(position, isLittleEndian),
  (view, position, isLittleEndian) => view.getFloat64(position, isLittleEndian),
  readLong,
  undefined,
  undefined,
  readLong8,
  (view, position, isLittleEndian) => Number(view.getBigInt64(position, isLittleEndian)),
  readLong8,
];
