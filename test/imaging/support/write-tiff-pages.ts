/** A TIFF page with one strip of 8-bit RGB pixels in a single colour. */
export interface TiffPageInput {
  readonly width: number;
  readonly height: number;
  readonly colour: readonly [number, number, number];
  /** Additional tags, as LONG numbers or text. */
  readonly tags?: Readonly<Record<number, number | string>>;
  readonly subPages?: readonly TiffPageInput[];
}

/** Writes a little-endian TIFF with several pages and their sub-directories. */
export function writeTiffPages(pages: readonly TiffPageInput[]): Buffer {
  const parts: Buffer[] = [];
  let length = 8;
  const append = (bytes: Buffer) => {
    const offset = length;
    parts.push(bytes);
    length += bytes.length;
    return offset;
  };
  const writeDirectory = (page: TiffPageInput, next: number): number => {
    const { width, height, colour, tags = {}, subPages = [] } = page;
    const pixels = Buffer.alloc(width * height * 3, Buffer.from(colour));
    const entries: Record<number, number | string | number[]> = {
      256: width,
      257: height,
      258: append(encodeShorts(8, 8, 8)),
      259: 1,
      262: 2,
      273: append(pixels),
      277: 3,
      278: height,
      279: pixels.length,
      ...tags,
    };
    if (subPages.length > 0) entries[330] = subPages.map((subPage) => writeDirectory(subPage, 0));
    const encodedEntries = Object.entries(entries).map(([tag, value]) =>
      encodeEntry(Number(tag), value, append),
    );
    return append(Buffer.concat([encodeShorts(encodedEntries.length), ...encodedEntries, encodeLongs(next)]));
  };
  const firstOffset = pages.reduceRight((next, page) => writeDirectory(page, next), 0);
  return Buffer.concat([Buffer.from('II*\0', 'latin1'), encodeLongs(firstOffset), ...parts]);
}

function encodeEntry(
  tag: number,
  value: number | string | number[],
  append: (bytes: Buffer) => number,
): Buffer {
  if (typeof value === 'string') {
    const text = Buffer.from(`${value}\0\0\0\0`, 'latin1');
    return Buffer.concat([encodeShorts(tag, 2), encodeLongs(text.length, append(text))]);
  }
  const isBits = tag === 258;
  if (isBits) return Buffer.concat([encodeShorts(tag, 3), encodeLongs(3, Number(value))]);
  const values = [value].flat();
  return Buffer.concat([
    encodeShorts(tag, 4),
    encodeLongs(values.length, values.length === 1 ? (values[0] ?? 0) : append(encodeLongs(...values))),
  ]);
}

function encodeShorts(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 2);
  values.forEach((value, n) => bytes.writeUInt16LE(value, n * 2));
  return bytes;
}

function encodeLongs(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, n) => bytes.writeUInt32LE(value, n * 4));
  return bytes;
}
