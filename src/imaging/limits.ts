import { AppError } from '../errors.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';

/** Maximum side of a picture in pixels. No product picture is larger, and few decoders are tested beyond it. */
export const maxSide = 16_383;

/**
 * Checks the values declared in a header before any pixel is decoded. The size is that of the frame that is used. Other
 * frames only count towards `maxFrames`: they are not decoded.
 * @throws AppError `picture_too_large`, with the limit and the value.
 */
export function checkLimits(
  facts: Pick<PictureFacts, 'format' | 'width' | 'height' | 'frames'>,
  limits: Pick<PictureLimits, 'maxPixels' | 'maxAvifPixels' | 'maxFrames'>,
): void {
  const { width, height, frames } = facts;
  if (Math.max(width, height) > maxSide) {
    throw tooLarge(`is ${width} × ${height} pixels; no side may be longer than ${maxSide} pixels`);
  }
  if (frames > limits.maxFrames) throw tooLarge(`has ${frames} frames; the limit is ${limits.maxFrames}`);
  const pixels = width * height;
  const size = `has ${width} × ${height} pixels, ${pixels} in all`;
  if (pixels > limits.maxPixels) throw tooLarge(`${size}; the limit is ${limits.maxPixels}`);
  if (facts.format === 'avif' && pixels > limits.maxAvifPixels) {
    throw tooLarge(`${size}; the limit for AVIF is ${limits.maxAvifPixels}`);
  }
}

function tooLarge(what: string): AppError {
  return new AppError('picture_too_large', `The picture ${what}.`);
}
