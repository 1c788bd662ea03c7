import type { PictureFormat } from '../../model/picture.ts';
import { isCameraRaw } from './camera-raw.ts';
import { type IsobmffStructure, readIsobmff } from '../containers/isobmff.ts';
import { readTiff } from '../containers/tiff.ts';
import { type UnsupportedFile, nameOfText } from './text-files.ts';
import { cameraRaw, pictureByHeader, pictureBySignature } from './signatures.ts';

const heic = 'an HEIC picture';

/** Picture formats that the detection library recognises, except those in `signatures.ts`. */
const picturesByExtension: Readonly<Record<string, string>> = {
  jp2: 'a JPEG 2000 picture',
  j2c: 'a JPEG 2000 picture',
  jpx: 'a JPEG 2000 picture',
  jpm: 'a JPEG 2000 picture',
  jls: 'a JPEG-LS picture',
  jxl: 'a JPEG XL picture',
  jxr: 'a JPEG XR picture',
  icns: 'an Apple icon',
  psd: 'a Photoshop document',
  ai: 'an Illustrator document',
  eps: 'a PostScript drawing',
  xcf: 'a GIMP picture',
  bpg: 'a BPG picture',
  flif: 'a FLIF picture',
  dcm: 'a DICOM picture',
  dng: cameraRaw,
  cr2: cameraRaw,
  cr3: cameraRaw,
  nef: cameraRaw,
  arw: cameraRaw,
  orf: cameraRaw,
  raf: cameraRaw,
  rw2: cameraRaw,
  ktx: 'a texture file',
};

const othersByExtension: Readonly<Record<string, string>> = {
  pdf: 'a PDF document',
  zip: 'a ZIP archive',
  gz: 'a compressed file',
  ps: 'a PostScript document',
  mp4: 'an MP4 video',
  m4v: 'an MP4 video',
  mov: 'a QuickTime video',
  webm: 'a WebM video',
  mp3: 'an MP3 recording',
};

/** Detections that are ignored: they rely on two bytes, or on a bit pattern that also occurs in noise. */
const unreliableExtensions = new Set(
  'ac3 dmg exe Z cpio arj asar mts mp1 mp2 aac ico cur bmp gif jpg xml'.split(' '),
);

/** Codecs of still pictures in the HEIF container, with the common names of such files. */
const namesOfCodecs: Readonly<Record<string, string>> = {
  hvc1: heic,
  hev1: heic,
  lhv1: heic,
  j2k1: 'a JPEG 2000 picture in an HEIF file',
  jpeg: 'a JPEG picture in an HEIF file',
  avc1: 'an HEIF picture',
  vvc1: 'an HEIF picture',
  evc1: 'an HEIF picture',
  unci: 'an HEIF picture',
};

const avifBrands = ['avif', 'avis', 'MA1A', 'MA1B'];
const heicBrands = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs'];
const heifBrands = ['mif1', 'mif2', 'mif3', 'msf1', 'miaf'];

/** Names a file without the signature of an accepted format. */
export async function nameUnsupportedFile(head: Uint8Array): Promise<UnsupportedFile> {
  const signed = pictureBySignature(head) ?? nameOfHeif(head);
  if (signed !== undefined) return { name: signed, isPicture: true };
  const text = nameOfText(head);
  if (text !== undefined) return text;
  const picture = pictureByHeader(head);
  if (picture !== undefined) return { name: picture, isPicture: true };
  // Imported only here: it would add a tenth to a decoder child's startup time.
  const { fileTypeFromBuffer } = await import('file-type');
  const extension = (await fileTypeFromBuffer(head).catch(() => undefined))?.ext;
  if (extension === undefined || unreliableExtensions.has(extension) || isUnreliableMp3(extension, head)) {
    return { name: 'not a known kind of picture', isPicture: false };
  }
  const name = picturesByExtension[extension];
  if (name !== undefined) return { name, isPicture: true };
  return { name: othersByExtension[extension] ?? `a file of type .${extension}`, isPicture: false };
}

/** An MP3 frame starts with eleven set bits, which is no evidence; a preceding tag is. */
function isUnreliableMp3(extension: string, head: Uint8Array): boolean {
  return extension === 'mp3' && !Buffer.from(head.subarray(0, 3)).equals(Buffer.from('ID3'));
}

/** Names the format of a file that only uses the container of `format`; `undefined` if it is really in that format. */
export function unsupportedByStructure(bytes: Uint8Array, format: PictureFormat): string | undefined {
  if (format === 'tiff') {
    const file = readTiff(bytes);
    return file !== undefined && isCameraRaw(file) ? cameraRaw : undefined;
  }
  return format === 'avif' ? nameOfHeif(bytes) : undefined;
}

function nameOfHeif(bytes: Uint8Array): string | undefined {
  const codec = stillCodecOf(bytes);
  return codec === undefined || codec === 'av01' ? undefined : (namesOfCodecs[codec] ?? 'an HEIF picture');
}

/**
 * Returns the codec of the picture in an HEIF file; `undefined` for other files. It is that of the primary item.
 * Brands, which writers set arbitrarily, are used only if `bytes` does not contain the items. If neither is conclusive,
 * returns AV1.
 */
export function stillCodecOf(bytes: Uint8Array): string | undefined {
  const file = readIsobmff(bytes);
  if (file === undefined) return undefined;
  const has = (brands: readonly string[]) => file.brands.some((brand) => brands.includes(brand));
  if (!has([...avifBrands, ...heicBrands, ...heifBrands])) return undefined;
  const codec = codecOfPrimaryItem(file);
  if (codec !== undefined) return codec;
  if (has(avifBrands)) return 'av01';
  if (has(heicBrands)) return 'hvc1';
  const hasMeta = file.boxes.some(({ type, isWhole }) => type === 'meta' && isWhole);
  return hasMeta ? 'heif' : 'av01';
}

const derivedItems = new Set(['grid', 'iovl', 'iden', 'tmap']);

/** A grid, an overlay or a rotated copy has no codec of its own: returns that of its source items. */
function codecOfPrimaryItem({ items, primaryItem, references }: IsobmffStructure): string | undefined {
  let item = items.get(primaryItem ?? -1);
  for (let depth = 0; item !== undefined && derivedItems.has(item.type) && depth < 8; depth++) {
    const from = item.id;
    const source = references.find((reference) => reference.type === 'dimg' && reference.from === from);
    item = items.get(source?.to[0] ?? -1);
  }
  return item?.type;
}
