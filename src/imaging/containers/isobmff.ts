import type { CodePoints } from './png.ts';

/** A box of an ISO base media file (HEIF, AVIF, MP4). Its payload is `bytes.subarray(start, end)`. */
export interface Box {
  readonly type: string;
  readonly start: number;
  /** End of the payload, never beyond the end of the parent. */
  readonly end: number;
  /** Whether the parent contains the whole box. */
  readonly isWhole: boolean;
}

/** A reference from an item to others: `auxl` from an alpha picture, `prem` from a premultiplied picture … */
export interface ItemReference {
  readonly type: string;
  readonly from: number;
  readonly to: readonly number[];
}

/** An item of the meta box. */
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
  /** All brands, the major one first. */
  readonly brands: readonly string[];
  /** Top-level boxes. */
  readonly boxes: readonly Box[];
  /** Whether there is a movie: a video, or an image sequence. */
  readonly hasMovie: boolean;
  readonly primaryItem: number | undefined;
  readonly items: ReadonlyMap<number, Item>;
  readonly references: readonly ItemReference[];
}

/** Parser limits. Real pictures are far below: a grid of 256 tiles has some 260 items with 5 properties each. */
const maxBoxes = 16_384;
const maxItems = 16_384;

/**
 * Returns the boxes between two offsets, one level only. Callers descend explicitly, so that no file controls the
 * recursion depth.
 */
export function boxesIn(bytes: Uint8Array, start: number, end: number): Box[] {
  const view = viewOf(bytes);
  const boxes: Box[] = [];
  const limit = Math.min(end, bytes.length);
  for (let at = start; at + 8 <= limit && boxes.length < maxBoxes; ) {
    const size = view.getUint32(at);
    const isLarge = size === 1;
    if (isLarge && at + 16 > limit) break;
    const head = isLarge ? 16 : 8;
    const length = isLarge ? Number(view.getBigUint64(at + 8)) : size === 0 ? limit - at : size;
    if (length < head) break;
    const boxEnd = Math.min(at + length, limit);
    boxes.push({
      type: textAt(bytes, at + 4),
      start: at + head,
      end: boxEnd,
      isWhole: at + length <= limit,
    });
    at = boxEnd;
  }
  return boxes;
}

/** Parses brands, movie and items; `undefined` if the file does not start with `ftyp`. */
export function readIsobmff(bytes: Uint8Array): IsobmffStructure | undefined {
  if (bytes.length < 16 || textAt(bytes, 4) !== 'ftyp') return undefined;
  const boxes = boxesIn(bytes, 0, bytes.length);
  const [fileType] = boxes;
  if (fileType === undefined) return undefined;
  const brands = brandsOf(bytes, fileType);
  const meta = boxes.find(({ type }) => type === 'meta');
  return {
    majorBrand: brands[0] ?? '',
    brands,
    boxes,
    hasMovie: boxes.some(({ type }) => type === 'moov'),
    ...(meta === undefined ? noItems : readMeta(bytes, meta)),
  };
}

const noItems = { primaryItem: undefined, items: new Map<number, Item>(), references: [] };

/** Returns the major brand and, after the minor version, the compatible brands. */
function brandsOf(bytes: Uint8Array, { start, end }: Box): string[] {
  const brands = end - start >= 4 ? [textAt(bytes, start)] : [];
  for (let at = start + 8; at + 4 <= end && brands.length < 256; at += 4) brands.push(textAt(bytes, at));
  return brands;
}

function readMeta(
  bytes: Uint8Array,
  meta: Box,
): Pick<IsobmffStructure, 'primaryItem' | 'items' | 'references'> {
  const boxes = boxesIn(bytes, meta.start + 4, meta.end);
  const find = (type: string) => boxes.find((box) => box.type === type);
  const types = itemTypes(bytes, find('iinf'));
  const properties = itemProperties(bytes, find('iprp'));
  const items = new Map<number, Item>();
  for (const [id, type] of types) items.set(id, { id, type, properties: properties.get(id) ?? [] });
  return {
    primaryItem: primaryItemOf(bytes, find('pitm')),
    items,
    references: itemReferences(bytes, find('iref')),
  };
}

/** Returns the version and the flags of a full box, and a reader for its fields. */
function openFullBox(
  bytes: Uint8Array,
  { start, end }: Box,
): { version: number; flags: number; fields: Fields } {
  const fields = fieldsOf(bytes, start, end);
  const head = fields.uint(4);
  return { version: head >>> 24, flags: head & 0xffffff, fields };
}

function primaryItemOf(bytes: Uint8Array, box: Box | undefined): number | undefined {
  if (box === undefined) return undefined;
  const { version, fields } = openFullBox(bytes, box);
  const id = fields.uint(version === 0 ? 2 : 4);
  return fields.isExhausted() ? undefined : id;
}

function itemTypes(bytes: Uint8Array, box: Box | undefined): Map<number, string> {
  const types = new Map<number, string>();
  if (box === undefined) return types;
  const { version, fields } = openFullBox(bytes, box);
  fields.uint(version === 0 ? 2 : 4);
  for (const entry of boxesIn(bytes, fields.at(), box.end)) {
    if (types.size >= maxItems) break;
    if (entry.type !== 'infe') continue;
    const info = openFullBox(bytes, entry);
    // Versions 0 and 1 have no type; pictures use 2 or 3.
    if (info.version < 2) continue;
    const id = info.fields.uint(info.version === 2 ? 2 : 4);
    info.fields.uint(2);
    if (entry.end - info.fields.at() >= 4) types.set(id, textAt(bytes, info.fields.at()));
  }
  return types;
}

/** `ipco` lists all properties; `ipma` lists the 1-based indexes of each item's properties. */
function itemProperties(bytes: Uint8Array, box: Box | undefined): Map<number, Box[]> {
  const byItem = new Map<number, Box[]>();
  if (box === undefined) return byItem;
  const inner = boxesIn(bytes, box.start, box.end);
  const container = inner.find(({ type }) => type === 'ipco');
  if (container === undefined) return byItem;
  const all = boxesIn(bytes, container.start, container.end);
  for (const associations of inner.filter(({ type }) => type === 'ipma')) {
    const { version, flags, fields } = openFullBox(bytes, associations);
    const items = fields.uint(4);
    for (let n = 0; n < items && !fields.isExhausted() && byItem.size < maxItems; n++) {
      const id = fields.uint(version === 0 ? 2 : 4);
      const count = fields.uint(1);
      const found: Box[] = byItem.get(id) ?? [];
      for (let k = 0; k < count && !fields.isExhausted(); k++) {
        const index = (flags & 1) === 1 ? fields.uint(2) & 0x7fff : fields.uint(1) & 0x7f;
        const property = all[index - 1];
        if (property !== undefined && found.length < 256) found.push(property);
      }
      byItem.set(id, found);
    }
  }
  return byItem;
}

function itemReferences(bytes: Uint8Array, box: Box | undefined): ItemReference[] {
  if (box === undefined) return [];
  const { version } = openFullBox(bytes, box);
  const idBytes = version === 0 ? 2 : 4;
  return boxesIn(bytes, box.start + 4, box.end).map(({ type, start, end }) => {
    const fields = fieldsOf(bytes, start, end);
    const from = fields.uint(idBytes);
    const count = Math.min(fields.uint(2), maxItems);
    const to: number[] = [];
    for (let n = 0; n < count && !fields.isExhausted(); n++) to.push(fields.uint(idBytes));
    return { type, from, to };
  });
}

/** A range of the file that contains data of an item. */
export interface ItemExtent {
  readonly start: number;
  readonly length: number;
}

/**
 * Returns the locations of item data (`iloc`), except for items whose data is inside the meta box.
 * Source: ISO/IEC 14496-12, 8.11.3.
 */
export function itemExtents(bytes: Uint8Array, file: IsobmffStructure): ItemExtent[] {
  const meta = file.boxes.find(({ type }) => type === 'meta');
  const box = meta && boxesIn(bytes, meta.start + 4, meta.end).find(({ type }) => type === 'iloc');
  if (box === undefined) return [];
  const { version, fields } = openFullBox(bytes, box);
  const sizes = fields.uint(2);
  const [offsetBytes, lengthBytes, baseBytes] = [sizes >> 12, (sizes >> 8) & 15, (sizes >> 4) & 15];
  const indexBytes = version > 0 ? sizes & 15 : 0;
  const count = Math.min(fields.uint(version < 2 ? 2 : 4), maxItems);
  const extents: ItemExtent[] = [];
  for (let n = 0; n < count && !fields.isExhausted(); n++) {
    fields.uint(version < 2 ? 2 : 4);
    const method = version > 0 ? fields.uint(2) & 15 : 0;
    fields.uint(2);
    const base = fields.long(baseBytes);
    const extentCount = fields.uint(2);
    for (let k = 0; k < extentCount && extents.length < maxItems && !fields.isExhausted(); k++) {
      fields.long(indexBytes);
      const start = base + fields.long(offsetBytes);
      const length = fields.long(lengthBytes);
      if (method === 0 && !fields.isExhausted()) extents.push({ start, length });
    }
  }
  return extents;
}

/** Returns the code points of a `colr` box of type `nclx`. */
export function nclxOf(bytes: Uint8Array, box: Box): CodePoints | undefined {
  if (box.type !== 'colr' || box.end - box.start < 11 || textAt(bytes, box.start) !== 'nclx') {
    return undefined;
  }
  const fields = fieldsOf(bytes, box.start + 4, box.end);
  return {
    primaries: fields.uint(2),
    transfer: fields.uint(2),
    matrix: fields.uint(2),
    isFullRange: fields.uint(1) >= 0x80,
  };
}

/** Returns the ICC profile of a `colr` box of type `prof` or `rICC`. */
export function profileOfColr(bytes: Uint8Array, box: Box): Uint8Array | undefined {
  if (box.type !== 'colr' || box.end - box.start < 4) return undefined;
  const kind = textAt(bytes, box.start);
  return kind === 'prof' || kind === 'rICC' ? bytes.subarray(box.start + 4, box.end) : undefined;
}

/** Returns the width and height of an `ispe` box. */
export function sizeOfIspe(bytes: Uint8Array, box: Box): { width: number; height: number } | undefined {
  if (box.type !== 'ispe' || box.end - box.start < 12) return undefined;
  const { fields } = openFullBox(bytes, box);
  return { width: fields.uint(4), height: fields.uint(4) };
}

/** Reads consecutive big-endian numbers. Beyond the end they are 0. */
interface Fields {
  readonly uint: (size: 1 | 2 | 4) => number;
  /** Reads a number of 0, 4 or 8 bytes. Above 2^53 it loses precision. */
  readonly long: (size: number) => number;
  readonly at: () => number;
  /** Whether a read exceeded the end. */
  readonly isExhausted: () => boolean;
}

function fieldsOf(bytes: Uint8Array, start: number, end: number): Fields {
  let at = start;
  function number(size: number): number {
    let value = 0;
    for (let n = 0; n < size; n++, at++) value = value * 256 + (at < end ? (bytes[at] ?? 0) : 0);
    return value;
  }
  return {
    uint: number,
    long: number,
    at: () => at,
    isExhausted: () => at > end,
  };
}

function textAt(bytes: Uint8Array, at: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + 4));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
