import { createHash } from 'node:crypto';
import { AppError } from '../../errors.ts';
import { type PictureFacts, pictureFormats, type PictureLimits } from '../../model/picture.ts';
import type { Relation } from '../../model/relation.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { fitInside } from '../geometry.ts';
import { probe } from '../probe.ts';
import { relateViews } from './relation/relate-views.ts';
import { makeView, type View } from './relation/view.ts';

/** Pictures are decoded to fit inside this box before they are compared. A printed digit can still be told from another. */
const viewBox = { width: 640, height: 640 };
/** Only pictures of up to this many pixels are compared pixel by pixel, because both have to be decoded at their full size. */
const maxExactPixels = 40_000_000;
/** Largest mean difference (ΔE) between pictures that may have the same pixels. */
const maxExactDifference = 0.5;

/** A picture as bytes, and its facts. */
interface ProbedPicture {
  readonly bytes: Uint8Array;
  readonly facts: PictureFacts;
}

/**
 * Decides how a picture is related to each of `others`. The allowed formats apply only to the picture itself. The result has one
 * element for each of `others`: the relation, or `null` if they do not show the same.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family.
 */
export async function relatePictures(
  bytes: Uint8Array,
  limits: PictureLimits,
  others: Iterable<Uint8Array>,
): Promise<(Relation | null)[]> {
  const picture = { bytes, facts: await probe(bytes, limits) };
  const view = await decodeView(picture);
  const relations: (Relation | null)[] = [];
  for (const otherBytes of others)
    relations.push(await relateTo(view, picture, otherBytes, { ...limits, allowedFormats: pictureFormats }));
  return relations;
}

/** Returns `null` as well if the other picture is damaged, or exceeds limits that have been lowered since it was stored. */
async function relateTo(
  view: View,
  picture: ProbedPicture,
  bytes: Uint8Array,
  limits: PictureLimits,
): Promise<Relation | null> {
  try {
    const other = { bytes, facts: await probe(bytes, limits) };
    const relation = relateViews(view, await decodeView(other));
    return relation ? await withEqualPixels(relation, picture, other) : null;
  } catch (error) {
    if (error instanceof AppError) return null;
    throw error;
  }
}

async function decodeView({ bytes, facts }: ProbedPicture): Promise<View> {
  return makeView(await decodePicture(bytes, facts, fitInside(facts, viewBox)));
}

/** Changes the tier to `identical` if all pixels are the same. */
async function withEqualPixels(
  relation: Relation,
  picture: ProbedPicture,
  other: ProbedPicture,
): Promise<Relation> {
  const { width, height } = picture.facts;
  const mayBeEqual =
    relation.tier === 'reencoded' &&
    relation.difference <= maxExactDifference &&
    width === other.facts.width &&
    height === other.facts.height &&
    width * height <= maxExactPixels;
  if (!mayBeEqual || (await hashPixels(picture)) !== (await hashPixels(other))) return relation;
  return { ...relation, tier: 'identical', reason: 'the same pixels' };
}

/** Returns the SHA-256 of all pixels of a picture. Only one picture at a time is in memory at its full size. */
async function hashPixels({ bytes, facts }: ProbedPicture): Promise<string> {
  const { data } = await decodePicture(bytes, facts, facts);
  return createHash('sha256').update(data).digest('hex');
}
