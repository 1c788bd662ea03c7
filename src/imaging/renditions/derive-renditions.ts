import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { decodeToDescribe, describePixels, type Description, pixelsToDescribe } from '../recognition/describe-picture.ts';
import { fitInside } from '../geometry.ts';
import { type EncodedRendition, makeRenditions } from './make-renditions.ts';
import { probe } from '../probe.ts';
import { planRenditions } from './rendition-plan.ts';

/** Everything that one decode of a picture gives. */
export interface DerivedPixels extends Description {
  readonly facts: PictureFacts;
  readonly renditions: readonly EncodedRendition[];
}

/** What the pipeline starts from. */
export interface DeriveInput {
  readonly bytes: Uint8Array;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/**
 * The pipeline, step by step. The picture is decoded once, to the size of the largest rendition; everything else is
 * made from those pixels, and described while the renditions are being encoded. Only where all presets are too small
 * to describe a picture from, it is decoded again.
 * @throws AppError of `probe`, and `picture_damaged` when the pixels cannot be decoded.
 */
export async function deriveRenditions({ bytes, limits, presets }: DeriveInput): Promise<DerivedPixels> {
  const facts = await probe(bytes, limits);
  const plan = planRenditions(facts, presets);
  const base = await decodePicture(bytes, facts, plan[0]?.size ?? fitInside(facts, facts));
  const { pixels, encoded } = await makeRenditions(base, plan);
  const [renditions, description] = await Promise.all([
    encoded,
    pixelsToDescribe([base, ...pixels], facts)
      .then((enough) => enough ?? decodeToDescribe(bytes, facts))
      .then((enough) => describePixels(enough, facts)),
  ]);
  return { facts, renditions, ...description };
}
