import type { PictureFormat } from '../../model/picture.ts';
import { isCameraRaw } from './camera-raw.ts';
import { type IsobmffStructure, readIsobmff } from '../containers/isobmff.ts';
import { readTiff } from '../containers/tiff.ts';
import { type UnsupportedFile, describeText } from './text-files.ts';
import { cameraRaw, namePictureByHeader, namePictureBySignature } from './signatures.ts';

const heic = 'an HEIC image';

/** Names of the picture formats that the detection library recognises, except those in `signatures.ts`. */
const picturesByExtension: Readonly<Record<string, string>> = {
  jp2: 'a JPEG 2000 image',
  j2c: 'a JPEG 2000 image',
  jpx: 'a JPEG 2000 image',
  jpm: 'a JPEG 2000 image',
  jls: 'a JPEG-LS image',
  jxl: 'a JPEG XL image',
  jxr: 'a JPEG XR image',
  icns: 'an Apple icon',
  psd: 'a Photoshop document',
  ai: 'an Illustrator document',
  eps: 'a PostScript drawing',
  xcf: 'a GIMP image',
  bpg: 'a BPG image',
  flif: 'a FLIF image',
  dcm: 'a DICOM image',
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

/** Ignored detections. They rely on only two bytes, or on a bit pattern that also occurs in random data. */
const unreliableExtensions = new Set(
  'ac3 dmg exe Z cpio arj asar mts mp1 mp2 aac ico cur bmp gif jpg xml'.split(' '),
);

/** Codecs of still pictures in the HEIF container, with the common names of files that use them. */
const codecNames: Readonly<Record<string, string>> = {
  hvc1: heic,
  hev1: heic,
  lhv1: heic,
  j2k1: 'a JPEG 2000 image in an HEIF file',
  jpeg: 'a JPEG image in an HEIF file',
  avc1: 'an HEIF image',
  vvc1: 'an HEIF image',
  evc1: 'an HEIF image',
  unci: 'an HEIF image',
};

const avifBrands = ['avif', 'avis', 'MA1A', 'MA1B'];
const heicBrands = ['heic', 'heix', 'heim', 'heis', 'hevc', 'hevx', 'hevm', 'hevs'];
const heifBrands = ['mif1', 'mif2', 'mif3', 'msf1', 'miaf'];

/** Describes a file that does not have the signature of an accepted format. */
export async function describeUnsupportedFile(firstBytes: Uint8Array): Promise<UnsupportedFile> {
  const pictureName = namePictureBySignature(firstBytes) ?? nameUnsupportedHeif(firstBytes);
  if (pictureName !== undefined) return { name: pictureName, isPicture: true };
  const text = describeText(firstBytes);
  if (text !== undefined) return text;
  const picture = namePictureByHeader(firstBytes);
  if (picture !== undefined) return { name: picture, isPicture: true };
  // Imported on demand, because it would otherwise add 10 % to a decoder child's startup time.
  const { fileTypeFromBuffer } = await import('file-type');
  const extension = (await fileTypeFromBuffer(firstBytes).catch(() => undefined))?.ext;
  if (
    extension === undefined ||
    unreliableExtensions.has(extension) ||
    isUnreliableMp3(extension, firstBytes)
  ) {
    return { name: 'not a known kind of image', isPicture: false };
  }
  const name = picturesByExtension[extension];
  if (name !== undefined) return { name, isPicture: true };
  return { name: othersByExtension[extension] ?? `a file of type .${extension}`, isPicture: false };
}

/** The eleven set bits at the start of an MP3 frame also occur in other files. Only a preceding ID3 tag is reliable. */
function isUnreliableMp3(extension: string, firstBytes: Uint8Array): boolean {
  return extension === 'mp3' && !Buffer.from(firstBytes.subarray(0, 3)).equals(Buffer.from('ID3'));
}

/** Returns the actual format of a file that only uses the container of `format`; `undefined` if the format matches. */
export function nameUnsupportedContent(bytes: Uint8Array, format: PictureFormat): string | undefined {
  if (format === 'tiff') {
    const file = readTiff(bytes);
    return file !== undefined && isCameraRaw(file) ? cameraRaw : undefined;
  }
  return format === 'avif' ? nameUnsupportedHeif(bytes) : undefined;
}

function nameUnsupportedHeif(bytes: Uint8Array): string | undefined {
  const codec = readStillCodec(bytes);
  return codec === undefined || codec === 'av01' ? undefined : (codecNames[codec] ?? 'an HEIF image');
}

/**
 * Returns the codec of the primary item in an HEIF file; `undefined` for other files. Uses the brands, which writers
 * set arbitrarily, only if `bytes` does not contain the items. Returns AV1 if neither is conclusive.
 */
export function readStillCodec(bytes: Uint8Array): string | undefined {
  const file = readIsobmff(bytes);
  if (file === undefined) return undefined;
  const hasBrand = (brands: readonly string[]) => file.brands.some((brand) => brands.includes(brand));
  if (!hasBrand([...avifBrands, ...heicBrands, ...heifBrands])) return undefined;
  const codec = primaryItemCodec(file);
  if (codec !== undefined) return codec;
  if (hasBrand(avifBrands)) return 'av01';
  if (hasBrand(heicBrands)) return 'hvc1';
  const hasMeta = file.boxes.some(({ type, isComplete }) => type === 'meta' && isComplete);
  return hasMeta ? 'heif' : 'av01';
}

const derivedItemTypes = new Set(['grid', 'iovl', 'iden', 'tmap']);

/**
 * Returns the codec of the primary item. For a grid, an overlay or a rotated copy, returns the codec of its first
 * source item.
 */
function primaryItemCodec({ items, primaryItem, references }: IsobmffStructure): string | undefined {
  let item = items.get(primaryItem ?? -1);
  for (let depth = 0; item !== undefined && derivedItemTypes.has(item.type) && depth < 8; depth++) {
    const from = item.id;
    const source = references.find((reference) => reference.type === 'dimg' && reference.from === from);
    item = items.get(source?.to[0] ?? -1);
  }
  return item?.type;
}
