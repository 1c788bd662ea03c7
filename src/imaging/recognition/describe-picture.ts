import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { embeddingOf } from './embedding/embedding.ts';
import { fingerprintOf } from './fingerprint.ts';
import { fitInside, isAsLargeAs, type Size } from '../geometry.ts';
import type { Pixels } from '../decoding/pixels.ts';
import { probe } from '../probe.ts';
import { resizeTo } from '../decoding/steps.ts';

/** What a picture is recognised by. */
export interface Description {
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** A description is made from pixels of this size, whatever the presets are. */
const describedBox = { width: 400, height: 400 };
/** Size of the decode before: that of the usual base, so that stored and searched pictures go the same way. */
const decodedBox = { width: 1200, height: 1200 };

/** Size of the pixels that a picture is described from. */
export function describedSize(facts: Size): Size {
  return fitInside(facts, describedBox);
}

/** Fingerprint and embedding of a picture from pixels of its described size. */
export function describePixels(pixels: Pixels, facts: Size): Description {
  return { fingerprint: fingerprintOf(pixels, facts), embedding: embeddingOf(pixels) };
}

/**
 * Pixels of the described size, from the smallest of `made` (largest first) that are that size or twice as large,
 * else from the largest; `undefined` when all are too small.
 */
export async function pixelsToDescribe(made: readonly Pixels[], facts: Size): Promise<Pixels | undefined> {
  const size = describedSize(facts);
  const isExact = (pixels: Pixels) => pixels.width === size.width && pixels.height === size.height;
  const source = made.findLast((pixels) => isExact(pixels) || isAsLargeAs(pixels, size, 2)) ?? made[0];
  return source !== undefined && isAsLargeAs(source, size) ? resizeTo(source, size) : undefined;
}

/**
 * Decodes a picture only to describe it.
 * @throws AppError `picture_damaged`.
 */
export async function decodeToDescribe(bytes: Uint8Array, facts: PictureFacts): Promise<Pixels> {
  return resizeTo(await decodePicture(bytes, facts, fitInside(facts, decodedBox)), describedSize(facts));
}

/**
 * Facts, fingerprint and embedding of a picture that is not stored.
 * @throws AppError of `probe`, and `picture_damaged`.
 */
export async function describePicture(
  bytes: Uint8Array,
  limits: PictureLimits,
): Promise<Description & { readonly facts: PictureFacts }> {
  const facts = await probe(bytes, limits);
  return { facts, ...describePixels(await decodeToDescribe(bytes, facts), facts) };
}
