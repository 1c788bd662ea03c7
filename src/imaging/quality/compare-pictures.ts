import { hashDistance } from '../../model/fingerprint.ts';
import { type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import type { PictureComparison } from '../../model/quality.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { toLuma } from '../colour/luma-and-lab.ts';
import { descriptionSize } from '../recognition/describe-picture.ts';
import { computeFingerprint } from '../recognition/fingerprint.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';
import { type Pixels, resizeTo } from '../decoding/pixels.ts';
import { probe } from '../probe.ts';
import { computePsnr, computeSsim } from './metrics.ts';

/** A picture to compare with a source. */
export interface OtherPicture {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Larger pictures are scaled down to fit inside this box, so that a comparison takes less than a second. */
const comparisonBox = { width: 2048, height: 2048 };

interface ProbedPicture {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
}

/**
 * Measures the quality of each picture in `others` against a source. Compares each pair at the size of the picture with
 * fewer pixels, at most 2048 × 2048. Both pictures are first rotated upright, placed on white and resized with Lanczos.
 * The allowed formats apply only to the source, because renditions are JPEGs even if JPEG uploads are not allowed.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family.
 */
export async function comparePictures(
  bytes: Uint8Array,
  limits: PictureLimits,
  others: readonly OtherPicture[],
): Promise<{ readonly facts: PictureFacts; readonly comparisons: readonly PictureComparison[] }> {
  const facts = await probe(bytes, limits);
  const limitsForAnyFormat = { ...limits, allowedFormats: pictureFormats };
  const probedPictures: (ProbedPicture & { readonly name: string })[] = [];
  for (const other of others)
    probedPictures.push({ ...other, facts: await probe(other.bytes, limitsForAnyFormat) });
  const source = await decodeOnce(
    { bytes, facts },
    probedPictures.map((other) => commonSize(facts, other.facts)),
  );
  const comparisons: PictureComparison[] = [];
  // Pictures are decoded one after the other, so that only the source and one other picture are in memory at a time.
  for (const other of probedPictures) comparisons.push(await compareWith(source, facts, other));
  return { facts, comparisons };
}

async function compareWith(
  source: Pixels,
  facts: PictureFacts,
  other: ProbedPicture & { readonly name: string },
): Promise<PictureComparison> {
  const size = commonSize(facts, other.facts);
  const pixels = await decodeOnce(other, [size]);
  const [a, b] = [await resizeTo(source, size), await resizeTo(pixels, size)];
  const { width, height } = other.facts;
  return {
    name: other.name,
    psnr: computePsnr(a.data, b.data),
    ssim: computeSsim(toLuma(a.data), toLuma(b.data), size),
    hashDistance: hashDistance(await computeHash(source, facts), await computeHash(pixels, other.facts)),
    width,
    height,
  };
}

function commonSize(a: Size, b: Size): Size {
  const smallerSize = a.width * a.height <= b.width * b.height ? a : b;
  return fitInside(smallerSize, comparisonBox);
}

/** Decodes a picture once, at a size that is large enough for all of `sizes` and for its hash. */
async function decodeOnce({ bytes, facts }: ProbedPicture, sizes: readonly Size[]): Promise<Pixels> {
  const requiredSizes = [...sizes, descriptionSize(facts)];
  const largestSize = requiredSizes.reduce((max, size) =>
    size.width * size.height > max.width * max.height ? size : max,
  );
  // If the proportions differ, the size with the most pixels may be narrower or shorter than another required size.
  const isLargeEnough = requiredSizes.every((size) => isAsLargeAs(largestSize, size));
  return decodePicture(bytes, facts, isLargeEnough ? largestSize : fitInside(facts, comparisonBox));
}

async function computeHash(pixels: Pixels, facts: PictureFacts): Promise<string> {
  const { hash } = computeFingerprint(await resizeTo(pixels, descriptionSize(facts)), facts);
  return hash;
}
