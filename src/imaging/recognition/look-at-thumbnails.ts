import { type StoredFingerprint, thumbnailSide } from '../../model/fingerprint.ts';
import type { PictureBox } from '../../model/relation.ts';

/** Difference in chroma (a*, b*) that no edit of the same picture causes over a larger area. */
const minShift = 14;
/** A change of brightness or saturation changes the chroma of a pixel by up to this factor. */
const maxChromaRatio = 1.6;
/** Part of the pixels that must have another colour. It is larger than a badge may be. */
const minShare = 0.13;
/** Difference from the colour of the border, in bytes of the thumbnail, from which a pixel is content. */
const minContentDifference = 16;

/**
 * Compares the thumbnails of two pictures whose hashes of the full frame are similar. Returns where they differ if a product has
 * clearly been recoloured; `undefined` if only the pixels can tell. Brightness does not matter. This look is cheap, and
 * settles most pairs of variants.
 */
export function findRecolouring(a: StoredFingerprint, b: StoredFingerprint): PictureBox | undefined {
  const [first, second] = [Buffer.from(a.thumbnail, 'base64'), Buffer.from(b.thumbnail, 'base64')];
  const [isFirstContent, isSecondContent] = [makeContentTest(first), makeContentTest(second)];
  let [count, left, top, right, bottom] = [0, thumbnailSide, thumbnailSide, 0, 0];
  for (let pixel = 0, index = 0; pixel < thumbnailSide * thumbnailSide; pixel++, index += 3) {
    if (!hasOtherColour(first, second, index) || !isFirstContent(index) || !isSecondContent(index)) continue;
    count++;
    const [x, y] = [pixel % thumbnailSide, Math.floor(pixel / thumbnailSide)];
    left = Math.min(left, x);
    right = Math.max(right, x + 1);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y + 1);
  }
  if (count < minShare * thumbnailSide * thumbnailSide) return undefined;
  return {
    left: left / thumbnailSide,
    top: top / thumbnailSide,
    width: (right - left) / thumbnailSide,
    height: (bottom - top) / thumbnailSide,
  };
}

/** Returns the mean difference of the bytes of two thumbnails. It orders candidates, and decides nothing. */
export function thumbnailDifference(a: StoredFingerprint, b: StoredFingerprint): number {
  const [first, second] = [Buffer.from(a.thumbnail, 'base64'), Buffer.from(b.thumbnail, 'base64')];
  let sum = 0;
  for (let index = 0; index < first.length; index++)
    sum += Math.abs((first[index] ?? 0) - (second[index] ?? 0));
  return sum / first.length;
}

/** Whether two pixels differ in hue, or in saturation by more than an edit causes. */
function hasOtherColour(first: Buffer, second: Buffer, index: number): boolean {
  const [a1, b1] = [(first[index + 1] ?? 0) - 128, (first[index + 2] ?? 0) - 128];
  const [a2, b2] = [(second[index + 1] ?? 0) - 128, (second[index + 2] ?? 0) - 128];
  const [chroma1, chroma2] = [Math.hypot(a1, b1), Math.hypot(a2, b2)];
  const [smaller, larger] = chroma1 < chroma2 ? [chroma1, chroma2] : [chroma2, chroma1];
  if (larger > smaller * maxChromaRatio + minShift) return true;
  // If the smaller chroma is scaled to the larger one, the remaining difference is one of hue.
  const isOpposite = a1 * a2 + b1 * b2 < 0;
  const across = Math.abs(a1 * b2 - a2 * b1) / Math.max(1, larger);
  return isOpposite ? chroma1 + chroma2 > minShift : across > minShift;
}

/** Returns a function that tells whether a pixel differs from the colour that most of the border has. */
function makeContentTest(thumbnail: Buffer): (index: number) => boolean {
  const last = thumbnailSide - 1;
  const border = Array.from({ length: thumbnailSide }, (_, position) => [
    position,
    last * thumbnailSide + position,
    position * thumbnailSide,
    position * thumbnailSide + last,
  ]).flat();
  const colour = [0, 1, 2].map(
    (channel) =>
      Uint8Array.from(border, (pixel) => thumbnail[pixel * 3 + channel] ?? 0).sort()[border.length >> 1] ?? 0,
  );
  return (index) =>
    colour.some(
      (value, channel) => Math.abs((thumbnail[index + channel] ?? 0) - value) > minContentDifference,
    );
}
