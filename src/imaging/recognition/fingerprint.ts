import { type Fingerprint, fingerprintVersion, thumbnailSide } from '../../model/fingerprint.ts';
import { wholeAreaMean } from './area-mean.ts';
import type { Size } from '../geometry.ts';
import { labOf, lumaOf } from '../colour/luma-and-lab.ts';
import { hashSide, perceptualHashOf } from './perceptual-hash.ts';
import type { Pixels } from '../decoding/pixels.ts';

/** Minimum side for a hash to be meaningful. The same bound as in PDQ. */
const minSide = 5;

/**
 * Computes the fingerprint of a picture from its pixels, or from a smaller version of the whole picture
 * (`describedSize`).
 * @param original size of the picture itself, for its aspect ratio.
 */
export function fingerprintOf(pixels: Pixels, original: Size = pixels): Fingerprint {
  const small = wholeAreaMean(pixels, { width: hashSide, height: hashSide });
  const { hash, quality } = perceptualHashOf(lumaOf(small.data));
  const isTiny = Math.min(original.width, original.height) < minSide;
  return {
    version: fingerprintVersion,
    hash,
    quality: isTiny ? 0 : quality,
    aspect: original.width / original.height,
    thumbnail: thumbnailOf(labOf(small.data)).toString('base64'),
  };
}

/** Averages 2 × 2 pixels and quantises them as described at `Fingerprint.thumbnail`. */
function thumbnailOf(lab: Float32Array): Buffer {
  const bytes = Buffer.alloc(thumbnailSide * thumbnailSide * 3);
  const row = hashSide * 3;
  for (let at = 0; at < bytes.length; at++) {
    const channel = at % 3;
    const pixel = (at - channel) / 3;
    const start = Math.floor(pixel / thumbnailSide) * 2 * row + (pixel % thumbnailSide) * 6 + channel;
    const corners = [start, start + 3, start + row, start + row + 3];
    const mean = corners.reduce((sum, corner) => sum + (lab[corner] ?? 0), 0) / 4;
    const value = channel === 0 ? mean * 2.55 : mean + 128;
    bytes[at] = Math.max(0, Math.min(255, Math.round(value)));
  }
  return bytes;
}
