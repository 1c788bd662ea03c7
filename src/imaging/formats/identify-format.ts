import { AppError } from '../../errors.ts';
import { formatNames, headBytes, type PictureFormat } from '../../model/picture.ts';
import { isGif } from '../containers/gif.ts';
import { isPng } from '../containers/png.ts';
import { isWebp } from '../containers/webp.ts';
import { unsupportedByStructure, nameUnsupportedFile, stillCodecOf } from './unsupported-formats.ts';
import { isText } from './text-files.ts';

/**
 * Identifies a picture's format from the first bytes of its file (`headBytes` are enough), regardless of its name. An
 * animated PNG counts as PNG.
 * @throws AppError `empty_file`, `not_a_picture` or `format_not_allowed`. The messages name the apparent file type.
 */
export async function sniffFormat(
  head: Uint8Array,
  allowedFormats: readonly PictureFormat[],
): Promise<{ format: PictureFormat }> {
  if (head.length === 0) throw new AppError('empty_file', 'The file is empty.');
  const sample = head.subarray(0, headBytes);
  const format = formatOf(sample);
  if (format === undefined) {
    if (hasConvertedLineEnds(sample)) throw new AppError('picture_corrupt', convertedPng);
    const { name, isPicture } = await nameUnsupportedFile(sample);
    if (isPicture) throw formatNotAllowed(name, allowedFormats);
    throw new AppError('not_a_picture', rejection(name, allowedFormats));
  }
  rejectUnsupportedContent(sample, format, allowedFormats);
  if (!allowedFormats.includes(format)) {
    throw formatNotAllowed(`a picture in ${formatNames[format]} format`, allowedFormats);
  }
  return { format };
}

/**
 * Rejects other formats in the container of an accepted one: camera raw in TIFF, HEIC instead of AVIF. The start
 * of the file is not always sufficient: `probe` checks again with the whole file.
 * @throws AppError `format_not_allowed`.
 */
export function rejectUnsupportedContent(
  bytes: Uint8Array,
  format: PictureFormat,
  allowedFormats: readonly PictureFormat[],
): void {
  const unsupported = unsupportedByStructure(bytes, format);
  if (unsupported !== undefined) throw formatNotAllowed(unsupported, allowedFormats);
}

/** Returns the error for an unsupported format; `what` is a noun such as "an HEIC picture". */
function formatNotAllowed(what: string, allowedFormats: readonly PictureFormat[]): AppError {
  return new AppError('format_not_allowed', rejection(what, allowedFormats));
}

function rejection(what: string, allowedFormats: readonly PictureFormat[]): string {
  const names = allowedFormats.map((format) => formatNames[format]);
  const last = names.pop() ?? 'no format at all';
  const list = names.length > 0 ? `${names.join(', ')} and ${last}` : last;
  return `This is ${what}; Vitrine accepts ${list}.`;
}

/**
 * The signature of PNG contains both kinds of line ends, to reveal transfers in text mode (PNG, third edition, 5.2).
 */
function hasConvertedLineEnds(head: Uint8Array): boolean {
  const text = Buffer.from(head.subarray(0, 12)).toString('latin1');
  return text.startsWith('\x89PNG') && /^[\r\n]{1,4}$/.test(text.slice(4, text.indexOf('\x1a')));
}

const convertedPng =
  'The PNG picture is corrupt: a transfer in text mode has converted its line ends. Transfer it in binary mode.';

/** Checks full signatures: shorter ones often occur at the start of text files. */
function formatOf(head: Uint8Array): PictureFormat | undefined {
  const magic = Buffer.from(head.buffer, head.byteOffset, Math.min(head.length, 8)).toString('latin1');
  // JPEG-LS has the same signature, with its own frame marker.
  if (/^\xff\xd8\xff(?!\xf7)/.test(magic)) return 'jpeg';
  if (isPng(head)) return 'png';
  if (isGif(head)) return 'gif';
  if (isWebp(head)) return 'webp';
  if (/^(II[*+]\0|MM\0[*+])/.test(magic)) return 'tiff';
  if (stillCodecOf(head) === 'av01') return 'avif';
  return magic.startsWith('BM') && !isText(head) ? 'bmp' : undefined;
}
