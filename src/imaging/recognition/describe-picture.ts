import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { type Pixels, resizeTo } from '../decoding/pixels.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';
import { probe } from '../probe.ts';
import { computeEmbedding, type EmbedPixels } from './embedding/embedding.ts';
import { computeFingerprint } from './fingerprint.ts';

/** The data used to recognise a picture. */
export interface Description {
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Pictures are scaled down to fit inside this box before they are described, regardless of the presets. */
const descriptionBox = { width: 400, height: 400 };
/**
 * Pictures are first decoded to fit inside this box. It has the usual size of the largest rendition, so that stored
 * pictures and query pictures are processed alike.
 */
const decodeBox = { width: 1200, height: 1200 };

/** Returns the size at which a picture is described. */
export function descriptionSize(facts: Size): Size {
  return fitInside(facts, descriptionBox);
}

/** Computes the fingerprint and the embedding of a picture from pixels at its description size. */
export async function describePixels(
  pixels: Pixels,
  facts: Size,
  embed: EmbedPixels = computeEmbedding,
): Promise<Description> {
  return { fingerprint: computeFingerprint(pixels, facts), embedding: await embed(pixels) };
}

/**
 * Returns pixels at the description size. Resizes the smallest of `candidates` (sorted largest first) that has this
 * size or is at least twice as large. If there is none, resizes the largest. Returns `undefined` if all are too small.
 */
export async function resizeForDescription(
  candidates: readonly Pixels[],
  facts: Size,
): Promise<Pixels | undefined> {
  const size = descriptionSize(facts);
  const isExact = (pixels: Pixels) => pixels.width === size.width && pixels.height === size.height;
  const source =
    candidates.findLast((pixels) => isExact(pixels) || isAsLargeAs(pixels, size, 2)) ?? candidates[0];
  return source !== undefined && isAsLargeAs(source, size) ? resizeTo(source, size) : undefined;
}

/**
 * Decodes a picture to the size from which it is resized for its description.
 * @throws AppError with a code of the `picture_damaged` family.
 */
export async function decodeDetail(bytes: Uint8Array, facts: PictureFacts): Promise<Pixels> {
  return decodePicture(bytes, facts, fitInside(facts, decodeBox));
}

/**
 * Decodes a picture to its description size.
 * @throws AppError with a code of the `picture_damaged` family.
 */
export async function decodeForDescription(bytes: Uint8Array, facts: PictureFacts): Promise<Pixels> {
  return resizeTo(await decodeDetail(bytes, facts), descriptionSize(facts));
}

/**
 * Computes the facts, the fingerprint and the embedding of a picture without deriving renditions.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family.
 */
export async function describePicture(
  bytes: Uint8Array,
  limits: PictureLimits,
  embed?: EmbedPixels,
): Promise<Description & { readonly facts: PictureFacts }> {
  const facts = await probe(bytes, limits);
  return { facts, ...(await describePixels(await decodeForDescription(bytes, facts), facts, embed)) };
}
