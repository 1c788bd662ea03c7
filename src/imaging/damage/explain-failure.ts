import { AppError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';
import { checkGifPixels, readGif } from '../containers/gif.ts';
import { itemExtents, readIsobmff } from '../containers/isobmff.ts';
import type { JpegFrame } from '../containers/jpeg.ts';
import { readJpegContent } from '../containers/jpeg-scans.ts';
import { readWebp } from '../containers/webp.ts';
import { findInPng } from './png.ts';
import { findInTiff } from './tiff.ts';
import { corrupt, cut, type Finding, unreadable, unsupported, verdictError } from './verdict.ts';

const finders: Readonly<Record<PictureFormat, (bytes: Uint8Array) => Finding | Promise<Finding>>> = {
  jpeg: findInJpeg,
  png: findInPng,
  gif: findInGif,
  webp: findInWebp,
  avif: findInAvif,
  tiff: findInTiff,
  // The BMP decoder is our own and throws named errors.
  bmp: () => unreadable(),
};

/**
 * Determines from a file's structure why the image library rejected it. The library's message becomes the `cause`, for
 * the log: it refers to its own source code, changes between versions, and reports unsupported features as damage.
 * Valid files are never checked, so they lose no time.
 * @returns the named error, or `undefined` if the file has all of its pixels.
 */
export async function explainFailure(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError | undefined> {
  if (error instanceof AppError) return error;
  const finding = await finders[format](bytes);
  return finding === 'complete' ? undefined : verdictError(finding, format, error);
}

/** Does the same if the decoder rejected the header, or rejected a complete file twice; always returns an error. */
export async function explainRefusal(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError> {
  return (await explainFailure(error, bytes, format)) ?? verdictError(unreadable(), format, error);
}

/** A JPEG with all of its pixels is complete, with or without an end marker, regardless of other data. */
function findInJpeg(bytes: Uint8Array): Finding {
  const content = readJpegContent(bytes);
  if (content.kind === 'complete') return 'complete';
  if (content.kind === 'cut') return cut();
  if (content.kind === 'corrupt') return corrupt(`its data ${content.what}`);
  return unsupportedJpeg(content.frame);
}

function unsupportedJpeg({ process, precision, height }: JpegFrame): Finding {
  if (process === 3) return unsupported('lossless JPEG is not supported');
  if (process >= 5 && process <= 7) return unsupported('hierarchical JPEG is not supported');
  if (process > 7) return unsupported('arithmetic coding is not supported');
  if (precision !== 8) return unsupported(`JPEG with ${precision} bits per channel is not supported`);
  return height === 0 ? unsupported('its height is not stored in the header') : unreadable();
}

/** A GIF is complete if its last frame is: a missing trailer or a truncated comment does not matter. */
export function findInGif(bytes: Uint8Array): Finding {
  const gif = readGif(bytes);
  if (gif === undefined) return cut();
  const { first, last, endsInsideBlock } = gif;
  if (first === undefined || last === undefined) {
    return endsInsideBlock || !gif.hasTrailer ? cut('the file ends before its first frame') : unreadable();
  }
  const pixels = checkGifPixels(bytes, last.isWhole ? first : last);
  if (pixels === 'corrupt' || (pixels === 'short' && last.isWhole)) {
    return corrupt('its compressed pixels are damaged');
  }
  if (pixels === 'short') return cut();
  return last.isWhole ? unreadable() : 'complete';
}

/** WebP has no checksums: a complete file that cannot be decoded is corrupt. */
function findInWebp(bytes: Uint8Array): Finding {
  const webp = readWebp(bytes);
  if (webp === undefined || webp.size === undefined) return bytes.length < 30 ? cut() : unreadable();
  return webp.hasAllPixels ? corrupt('its compressed pixels are damaged') : cut();
}

/** AVIF has no checksums: a complete file that cannot be decoded is corrupt. */
function findInAvif(bytes: Uint8Array): Finding {
  const file = readIsobmff(bytes);
  if (file === undefined) return bytes.length < 16 ? cut() : unreadable();
  const { boxes, items, primaryItem } = file;
  const isBeyond = ({ start, length }: { start: number; length: number }) => start + length > bytes.length;
  if (boxes.some(({ isWhole }) => !isWhole) || itemExtents(bytes, file).some(isBeyond)) return cut();
  if (!boxes.some(({ type }) => type === 'meta'))
    return cut('the file ends before the description of its picture');
  return items.has(primaryItem ?? -1) ? corrupt('its compressed pixels are damaged') : unreadable();
}
