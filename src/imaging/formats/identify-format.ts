import { AppError } from '../../errors.ts';
import { formatNames, headBytes, type PictureFormat } from '../../model/picture.ts';
import { isGif } from '../containers/gif.ts';
import { isPng } from '../containers/png.ts';
import { isWebp } from '../containers/webp.ts';
import {
  nameUnsupportedContent,
  describeUnsupportedFile,
  isHeic,
  readStillCodec,
} from './unsupported-formats.ts';
import { isText } from './text-files.ts';

/**
 * Identifies a picture's format from the start of its file, ignoring the file name. The first `headBytes` bytes are
 * enough. An animated PNG counts as PNG.
 * @throws AppError `empty_file`, `picture_corrupt`, `not_a_picture` or `format_not_allowed`. For the last two, the
 *   message contains the apparent file type.
 */
export async function sniffFormat(
  firstBytes: Uint8Array,
  allowedFormats: readonly PictureFormat[],
): Promise<{ format: PictureFormat }> {
  if (firstBytes.length === 0) throw new AppError('empty_file', 'The file is empty.');
  const leadingBytes = firstBytes.subarray(0, headBytes);
  const format = detectFormat(leadingBytes, allowedFormats);
  if (format === undefined) {
    if (hasConvertedLineEndings(leadingBytes)) throw new AppError('picture_corrupt', convertedPngMessage);
    const { name, isPicture } = await describeUnsupportedFile(leadingBytes);
    if (isPicture) throw formatNotAllowed(name, allowedFormats, isHeic(leadingBytes) ? heicAdvice : '');
    throw new AppError('not_a_picture', describeRejection(name, allowedFormats));
  }
  rejectUnsupportedContent(leadingBytes, format, allowedFormats);
  if (!allowedFormats.includes(format)) {
    throw formatNotAllowed(`an image in ${formatNames[format]} format`, allowedFormats);
  }
  return { format };
}

/**
 * Rejects unsupported formats that use the same container as an accepted format. For example, some camera raw files
 * are TIFFs, and HEIC uses the same container as AVIF. The start of the file is not always sufficient, so `probe`
 * checks again with the whole file.
 * @throws AppError `format_not_allowed`.
 */
export function rejectUnsupportedContent(
  bytes: Uint8Array,
  format: PictureFormat,
  allowedFormats: readonly PictureFormat[],
): void {
  const unsupported = nameUnsupportedContent(bytes, format);
  if (unsupported !== undefined)
    throw formatNotAllowed(unsupported, allowedFormats, isHeic(bytes) ? heicAdvice : '');
}

/** Why HEIC is rejected, and what to do. A user can follow the first advice, an operator the second. */
const heicAdvice =
  ' The codec of HEIC is protected by patents, so the image library does not contain it. Convert the image to JPEG, or let the iPhone take JPEGs (Settings, Camera, Formats, Most Compatible). The operator can install a library that reads HEIC (docs/heic.md).';

/**
 * Returns the error for an unsupported format. `fileType` is a noun phrase such as "an HEIC image"; `advice` consists of
 * sentences that begin with a space.
 */
function formatNotAllowed(fileType: string, allowedFormats: readonly PictureFormat[], advice = ''): AppError {
  return new AppError('format_not_allowed', `${describeRejection(fileType, allowedFormats)}${advice}`);
}

function describeRejection(fileType: string, allowedFormats: readonly PictureFormat[]): string {
  const names = allowedFormats.map((format) => formatNames[format]);
  const last = names.pop() ?? 'no format at all';
  const list = names.length > 0 ? `${names.join(', ')} and ${last}` : last;
  return `This is ${fileType}; Vitrine accepts ${list}.`;
}

/**
 * Returns whether a text-mode transfer has damaged a PNG. The PNG signature contains both kinds of line endings so that
 * this damage can be detected (PNG, third edition, 5.2).
 */
function hasConvertedLineEndings(firstBytes: Uint8Array): boolean {
  const text = Buffer.from(firstBytes.subarray(0, 12)).toString('latin1');
  return text.startsWith('\x89PNG') && /^[\r\n]{1,4}$/.test(text.slice(4, text.indexOf('\x1a')));
}

const convertedPngMessage =
  'The PNG image is corrupt: a text-mode transfer has converted its line endings. Transfer it in binary mode.';

/** Checks complete signatures, because a text file may start with the first few bytes of a signature. */
function detectFormat(
  firstBytes: Uint8Array,
  allowedFormats: readonly PictureFormat[],
): PictureFormat | undefined {
  const magic = Buffer.from(
    firstBytes.buffer,
    firstBytes.byteOffset,
    Math.min(firstBytes.length, 8),
  ).toString('latin1');
  // JPEG-LS starts with the same bytes, but has its own frame marker.
  if (/^\xff\xd8\xff(?!\xf7)/.test(magic)) return 'jpeg';
  if (isPng(firstBytes)) return 'png';
  if (isGif(firstBytes)) return 'gif';
  if (isWebp(firstBytes)) return 'webp';
  if (/^(II[*+]\0|MM\0[*+])/.test(magic)) return 'tiff';
  if (readStillCodec(firstBytes) === 'av01') return 'avif';
  // Only an installation whose image library reads HEIC allows the format.
  if (allowedFormats.includes('heic') && isHeic(firstBytes)) return 'heic';
  return magic.startsWith('BM') && !isText(firstBytes) ? 'bmp' : undefined;
}
