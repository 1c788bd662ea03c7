import { AppError } from '../errors.ts';
import type { PictureFacts, PictureLimits } from '../model/picture.ts';

/** Maximum width and height in pixels. Product photos are smaller, and few decoders are tested with larger images. */
export const maxSide = 16_383;

/** Largest number of frames of an animated rendition. Longer animations are shown as their first frame. */
export const maxAnimationFrames = 300;

/** Largest number of pixels in all frames of an animated rendition. Encoding this many takes a few seconds. */
export const maxAnimationPixels = 20e6;

/**
 * Checks the values declared in a header before any pixel is decoded. Width and height are those of the selected frame.
 * The other frames are never decoded and count only towards `maxFrames`.
 * @throws AppError `picture_too_large`; the message contains the value and the limit.
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
  const size = `has ${width} × ${height} pixels, ${pixels} in total`;
  if (pixels > limits.maxPixels) throw tooLarge(`${size}; the limit is ${limits.maxPixels}`);
  if (facts.format === 'avif' && pixels > limits.maxAvifPixels) {
    throw tooLarge(`${size}; the limit for AVIF is ${limits.maxAvifPixels}`);
  }
}

function tooLarge(problem: string): AppError {
  return new AppError('picture_too_large', `The image ${problem}.`);
}
