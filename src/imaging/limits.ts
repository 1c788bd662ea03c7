import { AppError } from '../errors.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';

/** Longest side of a picture in pixels; what lies beyond is no product picture, and few decoders are tested there. */
export const maxSide = 16_383;

/**
 * Checks what a header claims before any pixel is decoded. Pixels are those of the frame that is used; the others are
 * only counted, since no decoder visits them.
 * @throws AppError `picture_too_large`, with the limit and the value.
 */
export function checkLimits(
  facts: Pick<PictureFacts, 'width' | 'height' | 'frames'>,
  limits: Pick<PictureLimits, 'maxPixels' | 'maxFrames'>,
): void {
  const { width, height, frames } = facts;
  if (Math.max(width, height) > maxSide) {
    throw tooLarge(`is ${width} × ${height} pixels; no side may be longer than ${maxSide} pixels`);
  }
  if (frames > limits.maxFrames) throw tooLarge(`has ${frames} frames; the limit is ${limits.maxFrames}`);
  const pixels = width * height;
  if (pixels > limits.maxPixels) {
    throw tooLarge(`has ${width} × ${height} pixels, ${pixels} in all; the limit is ${limits.maxPixels}`);
  }
}

function tooLarge(what: string): AppError {
  return new AppError('picture_too_large', `The picture ${what}.`);
}
