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

/** A picture to be compared with a source. */
export interface OtherPicture {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Larger pictures are compared at this size: it keeps the time of a comparison below a second. */
const comparedBox = { width: 2048, height: 2048 };

interface Opened {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
}

/**
 * Quality of each of `others` against a source. Two pictures are compared at the size of the one with fewer pixels
 * (fitted into 2048 × 2048), both upright and on white: both get exactly that size, with Lanczos. Renditions are JPEG
 * whatever formats are taken in, so the formats of `limits` hold for the source only.
 * @throws AppError of `probe`, and `picture_damaged`.
 */
export async function comparePictures(
  bytes: Uint8Array,
  limits: PictureLimits,
  others: readonly OtherPicture[],
): Promise<{ readonly facts: PictureFacts; readonly comparisons: readonly PictureComparison[] }> {
  const facts = await probe(bytes, limits);
  const anyFormat = { ...limits, allowedFormats: pictureFormats };
  const opened: (Opened & { readonly name: string })[] = [];
  for (const other of others) opened.push({ ...other, facts: await probe(other.bytes, anyFormat) });
  const source = await decodeFor(
    { bytes, facts },
    opened.map((other) => commonSize(facts, other.facts)),
  );
  const comparisons: PictureComparison[] = [];
  // One after the other: only one more picture is in memory then.
  for (const other of opened) comparisons.push(await compareWith(source, facts, other));
  return { facts, comparisons };
}

async function compareWith(
  source: Pixels,
  facts: PictureFacts,
  other: Opened & { readonly name: string },
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

/** Decodes a picture once for all the sizes, and for its hash. */
async function decodeFor({ bytes, facts }: Opened, sizes: readonly Size[]): Promise<Pixels> {
  const needed = [...sizes, describedSize(facts)];
  const largest = needed.reduce((most, size) =>
    size.width * size.height > most.width * most.height ? size : most,
  );
  // Pictures of other proportions may be compared at a size that none of the sizes covers.
  const isEnough = needed.every((size) => isAsLargeAs(largest, size));
  return decodePicture(bytes, facts, isEnough ? largest : fitInside(facts, comparedBox));
}

async function hashOf(pixels: Pixels, facts: PictureFacts): Promise<string> {
  const { hash } = fingerprintOf(await resizeTo(pixels, describedSize(facts)), facts);
  return hash;
}
