import { type Fingerprint, fingerprintVersion, thumbnailSide } from '../../model/fingerprint.ts';
import { scalePicture } from './area-mean.ts';
import type { Size } from '../geometry.ts';
import { toLab, toLuma } from '../colour/luma-and-lab.ts';
import { hashSide, computePerceptualHash } from './perceptual-hash.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** Minimum width and height, in pixels, for a meaningful hash. PDQ has the same limit. */
const minSide = 5;

/**
 * Computes the fingerprint of a picture from its pixels, or from a smaller version of the whole picture
 * (`descriptionSize`).
 * @param originalSize size of the picture itself, which determines the aspect ratio.
 */
export function computeFingerprint(pixels: Pixels, originalSize: Size = pixels): Fingerprint {
  const scaledPixels = scalePicture(pixels, { width: hashSide, height: hashSide });
  const { hash, quality } = computePerceptualHash(toLuma(scaledPixels.data));
  const isTiny = Math.min(originalSize.width, originalSize.height) < minSide;
  return {
    version: fingerprintVersion,
    hash,
    quality: isTiny ? 0 : quality,
    aspect: originalSize.width / originalSize.height,
    thumbnail: makeThumbnail(toLab(scaledPixels.data)).toString('base64'),
  };
}

/** Averages 2 × 2 pixels and quantises the means as documented for `Fingerprint.thumbnail`. */
function makeThumbnail(lab: Float32Array): Buffer {
  const bytes = Buffer.alloc(thumbnailSide * thumbnailSide * 3);
  const row = hashSide * 3;
  for (let index = 0; index < bytes.length; index++) {
    const channel = index % 3;
    const pixel = (index - channel) / 3;
    const start = Math.floor(pixel / thumbnailSide) * 2 * row + (pixel % thumbnailSide) * 6 + channel;
    const corners = [start, start + 3, start + row, start + row + 3];
    const mean = corners.reduce((sum, corner) => sum + (lab[corner] ?? 0), 0) / 4;
    const value = channel === 0 ? mean * 2.55 : mean + 128;
    bytes[index] = Math.max(0, Math.min(255, Math.round(value)));
  }
  return bytes;
}
