import { decodeText } from './text.ts';

/** Rights in an EXIF block. */
export interface ExifRights {
  readonly copyright?: string;
  readonly artist?: string;
}

const tags = new Map([
  [0x013b, 'artist'],
  [0x8298, 'copyright'],
] as const);

const asciiType = 2;
const prefix = 'Exif\0\0';
/** Large directories are damaged or hostile. */
const maxEntries = 512;

/** Reads the artist and the copyright notice from the first directory of an EXIF block. Ignores damaged entries. */
export function readExifRights(block: Uint8Array): ExifRights {
  const bytes = Buffer.from(block.buffer, block.byteOffset, block.byteLength);
  const tiff = bytes.toString('latin1', 0, prefix.length) === prefix ? bytes.subarray(prefix.length) : bytes;
  const order = tiff.toString('latin1', 0, 2);
  if (tiff.length < 8 || (order !== 'II' && order !== 'MM')) return {};
  const isLittleEndian = order === 'II';
  const read16 = (offset: number) => (isLittleEndian ? tiff.readUInt16LE(offset) : tiff.readUInt16BE(offset));
  const read32 = (offset: number) => (isLittleEndian ? tiff.readUInt32LE(offset) : tiff.readUInt32BE(offset));
  const rights: { copyright?: string; artist?: string } = {};
  const directory = read32(4);
  if (directory + 2 > tiff.length) return {};
  const entryCount = Math.min(read16(directory), maxEntries);
  for (let index = 0; index < entryCount; index++) {
    const entry = directory + 2 + index * 12;
    if (entry + 12 > tiff.length) break;
    const name = tags.get(read16(entry) as 0x013b | 0x8298);
    if (name === undefined || read16(entry + 2) !== asciiType) continue;
    const length = read32(entry + 4);
    const start = length <= 4 ? entry + 8 : read32(entry + 8);
    // A copyright notice consists of the photographer's and the editor's, separated by a null character.
    const parts = decodeText(tiff.subarray(start, start + length)).split('\0');
    rights[name] = parts.filter((part) => part.trim() !== '').join('; ');
  }
  return rights;
}
