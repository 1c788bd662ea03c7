import { AppError } from '../../errors.ts';
import type { PictureFormat } from '../../model/picture.ts';
import { checkGifPixels, readGif } from '../containers/gif.ts';
import { readItemExtents, readIsobmff } from '../containers/isobmff.ts';
import type { JpegFrame } from '../containers/jpeg.ts';
import { checkJpegScans } from '../containers/jpeg-scans.ts';
import { readWebp } from '../containers/webp.ts';
import { diagnosePng } from './png.ts';
import { diagnoseTiff } from './tiff.ts';
import { corrupt, truncated, type Diagnosis, unreadable, unsupported, verdictError } from './verdict.ts';

const diagnosers: Readonly<Record<PictureFormat, (bytes: Uint8Array) => Diagnosis | Promise<Diagnosis>>> = {
  jpeg: diagnoseJpeg,
  png: diagnosePng,
  gif: diagnoseGif,
  webp: diagnoseWebp,
  avif: diagnoseHeif,
  heic: diagnoseHeif,
  tiff: diagnoseTiff,
  // Vitrine's own BMP decoder already reports the exact problem.
  bmp: () => unreadable(),
};

/**
 * Checks a file's structure to determine why the image library rejected the file. The library's message is used only as
 * the `cause`, for the log, because it refers to the library's source code, changes between versions, and describes
 * unsupported features as damage. Only rejected files are checked, so valid files are not delayed.
 * @returns the error, or `undefined` if the file contains all of its pixels.
 */
export async function explainFailure(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError | undefined> {
  if (error instanceof AppError) return error;
  const diagnosis = await diagnosers[format](bytes);
  return diagnosis === 'complete' ? undefined : verdictError(diagnosis, format, error);
}

/**
 * Like `explainFailure`, but always returns an error. Used after the decoder has rejected a header, or has rejected a
 * complete file twice.
 */
export async function explainRejection(
  error: unknown,
  bytes: Uint8Array,
  format: PictureFormat,
): Promise<AppError> {
  return (await explainFailure(error, bytes, format)) ?? verdictError(unreadable(), format, error);
}

/** A JPEG is complete if it contains all of its pixels. A missing end marker does not matter. */
function diagnoseJpeg(bytes: Uint8Array): Diagnosis {
  const result = checkJpegScans(bytes);
  if (result.kind === 'complete') return 'complete';
  if (result.kind === 'truncated') return truncated();
  if (result.kind === 'corrupt') return corrupt(`its data ${result.problem}`);
  return diagnoseUnsupportedJpeg(result.frame);
}

function diagnoseUnsupportedJpeg({ process, precision, height }: JpegFrame): Diagnosis {
  if (process === 3) return unsupported('lossless JPEG is not supported');
  if (process >= 5 && process <= 7) return unsupported('hierarchical JPEG is not supported');
  if (process > 7) return unsupported('arithmetic coding is not supported');
  if (precision !== 8) return unsupported(`JPEG with ${precision} bits per channel is not supported`);
  return height === 0 ? unsupported('its height is not stored in the header') : unreadable();
}

/** A GIF is complete if its last frame is complete. A missing trailer or a truncated comment does not matter. */
export function diagnoseGif(bytes: Uint8Array): Diagnosis {
  const gif = readGif(bytes);
  if (gif === undefined) return truncated();
  const { firstFrame, lastFrame, endsInsideBlock } = gif;
  if (firstFrame === undefined || lastFrame === undefined) {
    return endsInsideBlock || !gif.hasTrailer
      ? truncated('the file ends before its first frame')
      : unreadable();
  }
  const pixelStatus = checkGifPixels(bytes, lastFrame.isComplete ? firstFrame : lastFrame);
  if (pixelStatus === 'corrupt' || (pixelStatus === 'truncated' && lastFrame.isComplete)) {
    return corrupt('its compressed pixels are damaged');
  }
  if (pixelStatus === 'truncated') return truncated();
  return lastFrame.isComplete ? unreadable() : 'complete';
}

/** WebP has no checksums. A complete file that cannot be decoded is therefore assumed to be corrupt. */
function diagnoseWebp(bytes: Uint8Array): Diagnosis {
  const webp = readWebp(bytes);
  if (webp === undefined || webp.size === undefined) return bytes.length < 30 ? truncated() : unreadable();
  return webp.hasAllPixels ? corrupt('its compressed pixels are damaged') : truncated();
}

/** AVIF and HEIC have no checksums. A complete file that cannot be decoded is therefore assumed to be corrupt. */
function diagnoseHeif(bytes: Uint8Array): Diagnosis {
  const file = readIsobmff(bytes);
  if (file === undefined) return bytes.length < 16 ? truncated() : unreadable();
  const { boxes, items, primaryItemId } = file;
  const extendsBeyondFile = ({ start, length }: { start: number; length: number }) =>
    start + length > bytes.length;
  if (boxes.some(({ isComplete }) => !isComplete) || readItemExtents(bytes, file).some(extendsBeyondFile))
    return truncated();
  if (!boxes.some(({ type }) => type === 'meta'))
    return truncated('the file ends before the description of its image');
  return items.has(primaryItemId ?? -1) ? corrupt('its compressed pixels are damaged') : unreadable();
}
