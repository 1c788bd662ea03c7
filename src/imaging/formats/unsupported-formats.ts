import type { PictureFormat } from '../../model/picture.ts';
import { isCameraRaw } from './camera-raw.ts';
import { type IsobmffStructure, readIsobmff } from '../containers/isobmff.ts';
import { readTiff } from '../containers/tiff.ts';
import { type UnsupportedFile, describeText } from './text-files.ts';
import { cameraRaw, namePictureByHeader, namePictureBySignature } from './signatures.ts';

const heic = 'an HEIC image';

/** Names of picture formats, by the file extension that the detection library returns. */
const pictureNamesByExtension: Readonly<Record<string, string>> = {
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

const otherNamesByExtension: Readonly<Record<string, string>> = {
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

/**
 * Extensions of formats that the detection library does not detect reliably, because it checks only two bytes or a bit
 * pattern that also occurs in random data.
 */
const unreliableExtensions = new Set(
  'ac3 dmg exe Z cpio arj asar mts mp1 mp2 aac ico cur bmp gif jpg xml'.split(' '),
);

/** Names of HEIF files, by the codec of the picture. */
const heifNamesByCodec: Readonly<Record<string, string>> = {
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
  const signatureName = namePictureBySignature(firstBytes) ?? nameUnsupportedHeif(firstBytes);
  if (signatureName !== undefined) return { name: signatureName, isPicture: true };
  const text = describeText(firstBytes);
  if (text !== undefined) return text;
  const headerName = namePictureByHeader(firstBytes);
  if (headerName !== undefined) return { name: headerName, isPicture: true };
  // Imported on demand, because a static import would add 10% to a decoder child's startup time.
  const { fileTypeFromBuffer } = await import('file-type');
  const extension = (await fileTypeFromBuffer(firstBytes).catch(() => undefined))?.ext;
  if (
    extension === undefined ||
    unreliableExtensions.has(extension) ||
    isUnreliableMp3(extension, firstBytes)
  ) {
    return { name: 'not a known kind of image', isPicture: false };
  }
  const name = pictureNamesByExtension[extension];
  if (name !== undefined) return { name, isPicture: true };
  return { name: otherNamesByExtension[extension] ?? `a file of type .${extension}`, isPicture: false };
}

/** The eleven set bits at the start of an MP3 frame also occur in other files. Only a preceding ID3 tag is reliable. */
function isUnreliableMp3(extension: string, firstBytes: Uint8Array): boolean {
  return extension === 'mp3' && !Buffer.from(firstBytes.subarray(0, 3)).equals(Buffer.from('ID3'));
}

/** Returns the name of a file's actual format if it differs from `format` but uses the same container. */
export function nameUnsupportedContent(bytes: Uint8Array, format: PictureFormat): string | undefined {
  if (format === 'tiff') {
    const file = readTiff(bytes);
    return file !== undefined && isCameraRaw(file) ? cameraRaw : undefined;
  }
  if (format === 'heic') return isHeic(bytes) ? undefined : nameUnsupportedHeif(bytes);
  return format === 'avif' ? nameUnsupportedHeif(bytes) : undefined;
}

/** Whether the primary item of an HEIF file is compressed with HEVC. */
export function isHeic(bytes: Uint8Array): boolean {
  return heifNamesByCodec[readStillCodec(bytes) ?? ''] === heic;
}

function nameUnsupportedHeif(bytes: Uint8Array): string | undefined {
  const codec = readStillCodec(bytes);
  return codec === undefined || codec === 'av01' ? undefined : (heifNamesByCodec[codec] ?? 'an HEIF image');
}

/**
 * Returns the codec of the primary item in an HEIF file; `undefined` for other files. If `bytes` does not contain the
 * item, the codec is derived from the brands. The brands are less reliable, because writers set them arbitrarily. If
 * the brands are not conclusive either, returns `heif` if the meta box is complete. Otherwise, returns `av01`,
 * because the format is checked again when the whole file is available.
 */
export function readStillCodec(bytes: Uint8Array): string | undefined {
  const file = readIsobmff(bytes);
  if (file === undefined) return undefined;
  const hasAnyBrand = (brands: readonly string[]) => file.brands.some((brand) => brands.includes(brand));
  if (!hasAnyBrand([...avifBrands, ...heicBrands, ...heifBrands])) return undefined;
  const codec = findPrimaryItemCodec(file);
  if (codec !== undefined) return codec;
  if (hasAnyBrand(avifBrands)) return 'av01';
  if (hasAnyBrand(heicBrands)) return 'hvc1';
  const hasCompleteMeta = file.boxes.some(({ type, isComplete }) => type === 'meta' && isComplete);
  return hasCompleteMeta ? 'heif' : 'av01';
}

const derivedItemTypes = new Set(['grid', 'iovl', 'iden', 'tmap']);

/**
 * Returns the codec of the primary item. If the item is derived from other items (a grid, an overlay …), returns the
 * codec of the first source item.
 */
function findPrimaryItemCodec({ items, primaryItemId, references }: IsobmffStructure): string | undefined {
  let item = items.get(primaryItemId ?? -1);
  for (let depth = 0; item !== undefined && derivedItemTypes.has(item.type) && depth < 8; depth++) {
    const derivedId = item.id;
    const source = references.find((reference) => reference.type === 'dimg' && reference.from === derivedId);
    item = items.get(source?.to[0] ?? -1);
  }
  return item?.type;
}
