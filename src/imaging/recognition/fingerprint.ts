import {
  type Fingerprint,
  fingerprintVersion,
  type FrameHash,
  type HashFrame,
  thumbnailSide,
} from '../../model/fingerprint.ts';
import { toLab, toLuma } from '../colour/luma-and-lab.ts';
import type { Pixels } from '../decoding/pixels.ts';
import type { Rectangle, Size } from '../geometry.ts';
import { halvePicture, scalePicture } from './area-mean.ts';
import { findFrames } from './frames.ts';
import { computePerceptualHash, hashSide, type PerceptualHash } from './perceptual-hash.ts';
import { sampleArea, type Samples } from './sample-area.ts';

/** Minimum width and height, in pixels, for a meaningful hash. PDQ has the same limit. */
const minSide = 5;
/** Minimum quality of a hash by which a picture is found. All plain pictures have similar hashes. */
const minQuality = 50;
/** Pictures whose sides are all at least this long are halved first. */
const minHalvedSide = 200;
const hashSize = { width: hashSide, height: hashSide };

/**
 * Computes the fingerprint of a picture from its pixels, or from a smaller version of the whole picture
 * (`descriptionSize`).
 * @param originalSize size of the picture itself, which determines the aspect ratio.
 */
export function computeFingerprint(pixels: Pixels, originalSize: Size = pixels): Fingerprint {
  // From pixels of this size, hashes and thumbnails are as good as from larger ones, and take a third of the time.
  const copy = Math.min(pixels.width, pixels.height) >= minHalvedSide ? halvePicture(pixels) : pixels;
  const scaledPixels = scalePicture(copy, hashSize);
  const full = computePerceptualHash(toLuma(scaledPixels.data));
  const isTiny = Math.min(originalSize.width, originalSize.height) < minSide;
  return {
    version: fingerprintVersion,
    hash: full.hash,
    quality: isTiny ? 0 : full.quality,
    aspect: originalSize.width / originalSize.height,
    thumbnail: makeThumbnail(toLab(scaledPixels.data)).toString('base64'),
    ...(isTiny ? { frameHashes: [], probes: [] } : hashFramesOf(copy, full)),
  };
}

/** Hashes the frames of a picture. Leaves out those with too little structure. */
function hashFramesOf(copy: Pixels, full: PerceptualHash): Pick<Fingerprint, 'frameHashes' | 'probes'> {
  const plane: Samples = { ...copy, channels: 1, data: toLuma(copy.data) };
  const hashArea = (area: Rectangle) => computePerceptualHash(sampleArea(plane, area, hashSize));
  const frames = findFrames(copy);
  const content = hashArea(frames.content);
  const core = hashArea(frames.core);
  const list = (frame: HashFrame, { hash, quality }: PerceptualHash): FrameHash[] =>
    quality < minQuality ? [] : [{ frame, hash }];
  const mirror = (hash: PerceptualHash) => ({ ...hash, hash: hash.mirroredHash });
  return {
    frameHashes: [...list('full', full), ...list('content', content), ...list('core', core)],
    probes: [
      ...list('full', mirror(full)),
      ...list('content', mirror(content)),
      ...frames.croppedContents.flatMap((area) => list('content', hashArea(area))),
      ...frames.croppedCores.flatMap((area) => list('core', hashArea(area))),
    ],
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
