import { fileTypeFromBuffer } from 'file-type';
import { AppError } from '../errors.ts';
import { headBytes, type PictureFormat } from '../model/picture.ts';
import { nameOfForeignFile } from './foreign-formats.ts';

const formatOfExtension: Readonly<Record<string, PictureFormat>> = {
  jpg: 'jpeg',
  png: 'png',
  apng: 'png',
  gif: 'gif',
  webp: 'webp',
  avif: 'avif',
  tif: 'tiff',
  bmp: 'bmp',
};

/** Names of the formats as people write them. */
export const formatNames: Readonly<Record<PictureFormat, string>> = {
  jpeg: 'JPEG',
  png: 'PNG',
  gif: 'GIF',
  webp: 'WebP',
  avif: 'AVIF',
  tiff: 'TIFF',
  bmp: 'BMP',
};

/**
 * Tells a picture's format by the first bytes of its file (`headBytes` are enough); the name plays no part.
 * An animated PNG counts as PNG.
 * @throws AppError `empty_file`, `not_a_picture` or `format_not_allowed`, each naming what the file looks like.
 */
export async function sniffFormat(
  head: Uint8Array,
  allowedFormats: readonly PictureFormat[],
): Promise<{ format: PictureFormat }> {
  if (head.length === 0) throw new AppError('empty_file', 'The file is empty.');
  const sample = head.subarray(0, headBytes);
  const extension = (await fileTypeFromBuffer(sample).catch(() => undefined))?.ext;
  const format = formatOfExtension[extension ?? ''] ?? formatByMagic(sample);
  if (format === undefined) throw foreignFileError(sample, extension, allowedFormats);
  if (!allowedFormats.includes(format)) {
    throw formatNotAllowed(`a picture in ${formatNames[format]} format`, allowedFormats);
  }
  return { format };
}

/** The refusal of a picture whose format is not taken in; `what` reads like "an HEIC picture". */
export function formatNotAllowed(what: string, allowedFormats: readonly PictureFormat[]): AppError {
  return new AppError('format_not_allowed', refusal(what, allowedFormats));
}

function foreignFileError(
  sample: Uint8Array,
  extension: string | undefined,
  allowedFormats: readonly PictureFormat[],
): AppError {
  const { name, isPicture } = nameOfForeignFile(sample, extension);
  if (isPicture) return formatNotAllowed(name, allowedFormats);
  return new AppError('not_a_picture', refusal(name, allowedFormats));
}

function refusal(what: string, allowedFormats: readonly PictureFormat[]): string {
  const names = allowedFormats.map((format) => formatNames[format]);
  const last = names.pop() ?? 'no format at all';
  const list = names.length > 0 ? `${names.join(', ')} and ${last}` : last;
  return `This is ${what}; Vitrine takes ${list}.`;
}

/**
 * The library looks into a TIFF's directory, which often stands at the file's end, and gives up where the head does
 * not hold it; a PNG with a damaged first chunk is still a (damaged) PNG to its owner.
 */
function formatByMagic(head: Uint8Array): PictureFormat | undefined {
  const magic = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 8)).toString('latin1');
  if (/^(II[*+]\0|MM\0[*+])/.test(magic)) return 'tiff';
  if (magic === '\x89PNG\r\n\x1a\n') return 'png';
  return undefined;
}
