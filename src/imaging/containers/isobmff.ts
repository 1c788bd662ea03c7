import type { CodePoints } from './png.ts';

/** A box of an ISO base media file (HEIF, AVIF, MP4). Its payload is `bytes.subarray(start, end)`. */
export interface Box {
  readonly type: string;
  readonly start: number;
  /** End of the payload, never beyond the end of the parent. */
  readonly end: number;
  /** Whether the parent contains the whole box. */
  readonly isComplete: boolean;
}

/** A reference from an item to other items. */
export interface ItemReference {
  /** Kind of reference: `auxl` from an alpha picture, `prem` from a premultiplied picture … */
  readonly type: string;
  /** Item IDs. */
  readonly from: number;
  readonly to: readonly number[];
}

/** An item in the meta box. */
export interface Item {
  readonly id: number;
  /** `av01`, `hvc1`, `grid`, `Exif` … */
  readonly type: string;
  /** Property boxes in the order of their associations. */
  readonly properties: readonly Box[];
}

/** The structure of an ISO base media file. */
export interface IsobmffStructure {
  readonly majorBrand: string;
  /** All brands, starting with the major brand. */
  readonly brands: readonly string[];
  /** Top-level boxes. */
  readonly boxes: readonly Box[];
  /** Whether the file contains a movie (a video or an image sequence). */
  readonly hasMovie: boolean;
  readonly primaryItemId: number | undefined;
  readonly items: ReadonlyMap<number, Item>;
  readonly references: readonly ItemReference[];
}

/** Parser limits. Real pictures stay far below them: a grid of 256 tiles has about 260 items with 5 properties each. */
const maxBoxes = 16_384;
const maxItems = 16_384;

/**
 * Parses the boxes between two offsets, but not their child boxes. Callers parse child boxes explicitly, so that a file
 * cannot control the recursion depth.
 */
export function readBoxes(bytes: Uint8Array, start: number, end: number): Box[] {
  const view = toDataView(bytes);
  const boxes: Box[] = [];
  const limit = Math.min(end, bytes.length);
  for (let offset = start; offset + 8 <= limit && boxes.length < maxBoxes; ) {
    const size = view.getUint32(offset);
    const isLarge = size === 1;
    if (isLarge && offset + 16 > limit) break;
    const headerBytes = isLarge ? 16 : 8;
    const length = isLarge ? Number(view.getBigUint64(offset + 8)) : size === 0 ? limit - offset : size;
    if (length < headerBytes) break;
    const boxEnd = Math.min(offset + length, limit);
    boxes.push({
      type: textAt(bytes, offset + 4),
      start: offset + headerBytes,
      end: boxEnd,
      isComplete: offset + length <= limit,
    });
    offset = boxEnd;
  }
  return boxes;
}

/** Parses the boxes, brands and items of a file. Returns `undefined` if the file does not start with an `ftyp` box. */
export function readIsobmff(bytes: Uint8Array): IsobmffStructure | undefined {
  if (bytes.length < 16 || textAt(bytes, 4) !== 'ftyp') return undefined;
  const boxes = readBoxes(bytes, 0, bytes.length);
  const [fileType] = boxes;
  if (fileType === undefined) return undefined;
  const brands = readBrands(bytes, fileType);
  const meta = boxes.find(({ type }) => type === 'meta');
  return {
    majorBrand: brands[0] ?? '',
    brands,
    boxes,
    hasMovie: boxes.some(({ type }) => type === 'moov'),
    ...(meta === undefined ? noItems : readMeta(bytes, meta)),
  };
}

const noItems = { primaryItemId: undefined, items: new Map<number, Item>(), references: [] };

/** Returns the major brand, followed by the compatible brands. */
function readBrands(bytes: Uint8Array, { start, end }: Box): string[] {
  const brands = end - start >= 4 ? [textAt(bytes, start)] : [];
  // The minor version is stored between the major brand and the compatible brands.
  for (let offset = start + 8; offset + 4 <= end && brands.length < 256; offset += 4)
    brands.push(textAt(bytes, offset));
  return brands;
}

function readMeta(
  bytes: Uint8Array,
  meta: Box,
): Pick<IsobmffStructure, 'primaryItemId' | 'items' | 'references'> {
  const boxes = readBoxes(bytes, meta.start + 4, meta.end);
  const findBox = (type: string) => boxes.find((box) => box.type === type);
  const types = readItemTypes(bytes, findBox('iinf'));
  const properties = readItemProperties(bytes, findBox('iprp'));
  const items = new Map<number, Item>();
  for (const [id, type] of types) items.set(id, { id, type, properties: properties.get(id) ?? [] });
  return {
    primaryItemId: readPrimaryItemId(bytes, findBox('pitm')),
    items,
    references: readItemReferences(bytes, findBox('iref')),
  };
}

/** Returns the version and flags of a full box, and a reader for the fields that follow. */
function openFullBox(
  bytes: Uint8Array,
  { start, end }: Box,
): { version: number; flags: number; fields: FieldReader } {
  const fields = makeFieldReader(bytes, start, end);
  const versionAndFlags = fields.readUint(4);
  return { version: versionAndFlags >>> 24, flags: versionAndFlags & 0xffffff, fields };
}

function readPrimaryItemId(bytes: Uint8Array, box: Box | undefined): number | undefined {
  if (box === undefined) return undefined;
  const { version, fields } = openFullBox(bytes, box);
  const id = fields.readUint(version === 0 ? 2 : 4);
  return fields.hasOverrun() ? undefined : id;
}

function readItemTypes(bytes: Uint8Array, box: Box | undefined): Map<number, string> {
  const types = new Map<number, string>();
  if (box === undefined) return types;
  const { version, fields } = openFullBox(bytes, box);
  fields.readUint(version === 0 ? 2 : 4);
  for (const entry of readBoxes(bytes, fields.offset(), box.end)) {
    if (types.size >= maxItems) break;
    if (entry.type !== 'infe') continue;
    const info = openFullBox(bytes, entry);
    // Versions 0 and 1 of this box contain no type. Picture files use version 2 or 3.
    if (info.version < 2) continue;
    const id = info.fields.readUint(info.version === 2 ? 2 : 4);
    info.fields.readUint(2);
    if (entry.end - info.fields.offset() >= 4) types.set(id, textAt(bytes, info.fields.offset()));
  }
  return types;
}

/** Returns the properties of each item. `ipma` assigns the properties in `ipco` to items by 1-based index. */
function readItemProperties(bytes: Uint8Array, box: Box | undefined): Map<number, Box[]> {
  const propertiesByItem = new Map<number, Box[]>();
  if (box === undefined) return propertiesByItem;
  const childBoxes = readBoxes(bytes, box.start, box.end);
  const container = childBoxes.find(({ type }) => type === 'ipco');
  if (container === undefined) return propertiesByItem;
  const properties = readBoxes(bytes, container.start, container.end);
  for (const associations of childBoxes.filter(({ type }) => type === 'ipma')) {
    const { version, flags, fields } = openFullBox(bytes, associations);
    const itemCount = fields.readUint(4);
    for (let n = 0; n < itemCount && !fields.hasOverrun() && propertiesByItem.size < maxItems; n++) {
      const id = fields.readUint(version === 0 ? 2 : 4);
      const count = fields.readUint(1);
      const itemProperties: Box[] = propertiesByItem.get(id) ?? [];
      for (let k = 0; k < count && !fields.hasOverrun(); k++) {
        const index = (flags & 1) === 1 ? fields.readUint(2) & 0x7fff : fields.readUint(1) & 0x7f;
        const property = properties[index - 1];
        if (property !== undefined && itemProperties.length < 256) itemProperties.push(property);
      }
      propertiesByItem.set(id, itemProperties);
    }
  }
  return propertiesByItem;
}

function readItemReferences(bytes: Uint8Array, box: Box | undefined): ItemReference[] {
  if (box === undefined) return [];
  const { version } = openFullBox(bytes, box);
  const idBytes = version === 0 ? 2 : 4;
  return readBoxes(bytes, box.start + 4, box.end).map(({ type, start, end }) => {
    const fields = makeFieldReader(bytes, start, end);
    const from = fields.readUint(idBytes);
    const count = Math.min(fields.readUint(2), maxItems);
    const to: number[] = [];
    for (let n = 0; n < count && !fields.hasOverrun(); n++) to.push(fields.readUint(idBytes));
    return { type, from, to };
  });
}

/** A range of the file that contains item data. */
export interface ItemExtent {
  readonly start: number;
  readonly length: number;
}

/**
 * Returns the locations of item data (`iloc`), except for items whose data is inside the meta box.
 * Source: ISO/IEC 14496-12, 8.11.3.
 */
export function readItemExtents(bytes: Uint8Array, file: IsobmffStructure): ItemExtent[] {
  const meta = file.boxes.find(({ type }) => type === 'meta');
  const box = meta && readBoxes(bytes, meta.start + 4, meta.end).find(({ type }) => type === 'iloc');
  if (box === undefined) return [];
  const { version, fields } = openFullBox(bytes, box);
  const packedSizes = fields.readUint(2);
  const [offsetBytes, lengthBytes, baseBytes] = [
    packedSizes >> 12,
    (packedSizes >> 8) & 15,
    (packedSizes >> 4) & 15,
  ];
  const indexBytes = version > 0 ? packedSizes & 15 : 0;
  const count = Math.min(fields.readUint(version < 2 ? 2 : 4), maxItems);
  const extents: ItemExtent[] = [];
  for (let n = 0; n < count && !fields.hasOverrun(); n++) {
    fields.readUint(version < 2 ? 2 : 4);
    const method = version > 0 ? fields.readUint(2) & 15 : 0;
    fields.readUint(2);
    const base = fields.readLong(baseBytes);
    const extentCount = fields.readUint(2);
    for (let k = 0; k < extentCount && extents.length < maxItems && !fields.hasOverrun(); k++) {
      fields.readLong(indexBytes);
      const start = base + fields.readLong(offsetBytes);
      const length = fields.readLong(lengthBytes);
      if (method === 0 && !fields.hasOverrun()) extents.push({ start, length });
    }
  }
  return extents;
}

/** Returns the code points of a `colr` box of type `nclx`. */
export function readNclx(bytes: Uint8Array, box: Box): CodePoints | undefined {
  if (box.type !== 'colr' || box.end - box.start < 11 || textAt(bytes, box.start) !== 'nclx') {
    return undefined;
  }
  const fields = makeFieldReader(bytes, box.start + 4, box.end);
  return {
    primaries: fields.readUint(2),
    transfer: fields.readUint(2),
    matrix: fields.readUint(2),
    isFullRange: fields.readUint(1) >= 0x80,
  };
}

/** Returns the ICC profile of a `colr` box of type `prof` or `rICC`. */
export function readColrProfile(bytes: Uint8Array, box: Box): Uint8Array | undefined {
  if (box.type !== 'colr' || box.end - box.start < 4) return undefined;
  const kind = textAt(bytes, box.start);
  return kind === 'prof' || kind === 'rICC' ? bytes.subarray(box.start + 4, box.end) : undefined;
}

/** Returns the width and height of an `ispe` box. */
export function readIspeSize(bytes: Uint8Array, box: Box): { width: number; height: number } | undefined {
  if (box.type !== 'ispe' || box.end - box.start < 12) return undefined;
  const { fields } = openFullBox(bytes, box);
  return { width: fields.readUint(4), height: fields.readUint(4) };
}

/** Reads consecutive big-endian numbers. Bytes beyond the end count as 0. */
interface FieldReader {
  readonly readUint: (size: 1 | 2 | 4) => number;
  /** Reads a number of 0, 4 or 8 bytes. Numbers above 2^53 lose precision. */
  readonly readLong: (size: number) => number;
  /** Returns the current offset in the file. */
  readonly offset: () => number;
  /** Returns whether a read went past the end. */
  readonly hasOverrun: () => boolean;
}

function makeFieldReader(bytes: Uint8Array, start: number, end: number): FieldReader {
  let offset = start;
  function readNumber(size: number): number {
    let value = 0;
    for (let n = 0; n < size; n++, offset++) value = value * 256 + (offset < end ? (bytes[offset] ?? 0) : 0);
    return value;
  }
  return {
    readUint: readNumber,
    readLong: readNumber,
    offset: () => offset,
    hasOverrun: () => offset > end,
  };
}

function textAt(bytes: Uint8Array, offset: number): string {
  return String.fromCharCode(...bytes.subarray(offset, offset + 4));
}

function toDataView(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
