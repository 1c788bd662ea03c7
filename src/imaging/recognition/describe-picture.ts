import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { type Pixels, resizeTo } from '../decoding/pixels.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';
import { probe } from '../probe.ts';
import { embeddingOf } from './embedding/embedding.ts';
import { fingerprintOf } from './fingerprint.ts';

/** The data by which a picture is recognised. */
export interface Description {
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Pictures are described at this size, regardless of the presets. */
const describedBox = { width: 400, height: 400 };
/**
 * Size of the decode that precedes it: that of the usual base, so that stored pictures and pictures to search by are
 * processed alike.
 */
const decodedBox = { width: 1200, height: 1200 };

/** Returns the size at which a picture is described. */
export function describedSize(facts: Size): Size {
  return fitInside(facts, describedBox);
}

/** Computes the fingerprint and the embedding of a picture from pixels of its described size. */
export function describePixels(pixels: Pixels, facts: Size): Description {
  return { fingerprint: fingerprintOf(pixels, facts), embedding: embeddingOf(pixels) };
}

/**
 * Returns pixels of the described size. Resizes the smallest of `candidates` (largest first) that has that size or is
 * at least twice as large; otherwise the largest. `undefined` if all are too small.
 */
export async function pixelsToDescribe(
  candidates: readonly Pixels[],
  facts: Size,
): Promise<Pixels | undefined> {
  const size = describedSize(facts);
  const isExact = (pixels: Pixels) => pixels.width === size.width && pixels.height === size.height;
  const source =
    candidates.findLast((pixels) => isExact(pixels) || isAsLargeAs(pixels, size, 2)) ?? candidates[0];
  return source !== undefined && isAsLargeAs(source, size) ? resizeTo(source, size) : undefined;
}

/**
 * Decodes a picture to its described size.
 * @throws AppError of the family `picture_damaged`.
 */
export async function decodeToDescribe(bytes: Uint8Array, facts: PictureFacts): Promise<Pixels> {
  return resizeTo(await decodePicture(bytes, facts, fitInside(facts, decodedBox)), describedSize(facts));
}

/**
 * Computes the facts, the fingerprint and the embedding of a picture that is not stored.
 * @throws AppError of `probe`, and of the family `picture_damaged`.
 */
export async function describePicture(
  bytes: Uint8Array,
  limits: PictureLimits,
): Promise<Description & { readonly facts: PictureFacts }> {
  const facts = await probe(bytes, limits);
  return { facts, ...describePixels(await decodeToDescribe(bytes, facts), facts) };
}
