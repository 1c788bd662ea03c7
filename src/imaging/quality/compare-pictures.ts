import { hashDistance } from '../../model/fingerprint.ts';
import { type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import type { PictureComparison } from '../../model/quality.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { describedSize } from '../recognition/describe-picture.ts';
import { fingerprintOf } from '../recognition/fingerprint.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';
import { type Pixels, resizeTo } from '../decoding/pixels.ts';
import { probe } from '../probe.ts';
import { psnrOf, ssimOfPixels } from './metrics.ts';

/** A picture to compare with a source. */
export interface OtherPicture {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Larger pictures are scaled down to this size, so that a comparison takes less than a second. */
const comparedBox = { width: 2048, height: 2048 };

interface ProbedPicture {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
}

/**
 * Measures the quality of each of `others` against a source. Compares two pictures at the size of the one with fewer
 * pixels (at most 2048 × 2048): both upright, on white, and resized with Lanczos. The allowed formats apply only to the
 * source, because renditions are always JPEG.
 * @throws AppError of `probe`, and of the family `picture_damaged`.
 */
export async function comparePictures(
  bytes: Uint8Array,
  limits: PictureLimits,
  others: readonly OtherPicture[],
): Promise<{ readonly facts: PictureFacts; readonly comparisons: readonly PictureComparison[] }> {
  const facts = await probe(bytes, limits);
  const anyFormat = { ...limits, allowedFormats: pictureFormats };
  const probed: (ProbedPicture & { readonly name: string })[] = [];
  for (const other of others) probed.push({ ...other, facts: await probe(other.bytes, anyFormat) });
  const source = await decodeFor(
    { bytes, facts },
    probed.map((other) => commonSize(facts, other.facts)),
  );
  const comparisons: PictureComparison[] = [];
  // Sequential, so that only one other picture is in memory at a time.
  for (const other of probed) comparisons.push(await compareWith(source, facts, other));
  return { facts, comparisons };
}

async function compareWith(
  source: Pixels,
  facts: PictureFacts,
  other: ProbedPicture & { readonly name: string },
): Promise<PictureComparison> {
  const size = commonSize(facts, other.facts);
  const pixels = await decodeFor(other, [size]);
  const [a, b] = [await resizeTo(source, size), await resizeTo(pixels, size)];
  const { width, height } = other.facts;
  return {
    name: other.name,
    psnr: psnrOf(a.data, b.data),
    ssim: ssimOfPixels(a, b),
    hashDistance: hashDistance(await hashOf(source, facts), await hashOf(pixels, other.facts)),
    width,
    height,
  };
}

function commonSize(a: Size, b: Size): Size {
  const smaller = a.width * a.height <= b.width * b.height ? a : b;
  return fitInside(smaller, comparedBox);
}

/** Decodes a picture once, large enough for all of `sizes` and for its hash. */
async function decodeFor({ bytes, facts }: ProbedPicture, sizes: readonly Size[]): Promise<Pixels> {
  const needed = [...sizes, describedSize(facts)];
  const largest = needed.reduce((max, size) =>
    size.width * size.height > max.width * max.height ? size : max,
  );
  // Pictures with other proportions may need one size for the width and another for the height.
  const isEnough = needed.every((size) => isAsLargeAs(largest, size));
  return decodePicture(bytes, facts, isEnough ? largest : fitInside(facts, comparedBox));
}

async function hashOf(pixels: Pixels, facts: PictureFacts): Promise<string> {
  const { hash } = fingerprintOf(await resizeTo(pixels, describedSize(facts)), facts);
  return hash;
}
