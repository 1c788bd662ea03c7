import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { encodeJpeg, type Pixels, resizeTo } from '../decoding/pixels.ts';
import { fitInside } from '../geometry.ts';
import { probe } from '../probe.ts';
import {
  decodeForDescription,
  describePixels,
  type Description,
  resizeForDescription,
} from '../recognition/describe-picture.ts';
import { type PlannedRendition, planRenditions } from './rendition-plan.ts';

/** An encoded rendition in memory. */
export interface EncodedRendition {
  readonly preset: Preset;
  readonly width: number;
  readonly height: number;
  readonly jpeg: Buffer;
}

/** Everything that is derived from a picture. */
export interface DerivationResult extends Description {
  readonly facts: PictureFacts;
  readonly renditions: readonly EncodedRendition[];
}

/**
 * Derives the renditions and the description of a picture. Decodes the picture once, at the size of the largest
 * rendition, and derives everything else from those pixels. Computes the description while the renditions are being
 * encoded. Decodes a second time only if all presets are too small for a description.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family if the pixels cannot be decoded.
 */
export async function deriveRenditions(
  bytes: Uint8Array,
  limits: PictureLimits,
  presets: readonly Preset[],
): Promise<DerivationResult> {
  const facts = await probe(bytes, limits);
  const plan = planRenditions(facts, presets);
  const base = await decodePicture(bytes, facts, plan[0]?.size ?? fitInside(facts, facts));
  const { pixels, encodedRenditions } = await makeRenditions(base, plan);
  const [renditions, description] = await Promise.all([
    encodedRenditions,
    resizeForDescription([base, ...pixels], facts)
      .then((resizedPixels) => resizedPixels ?? decodeForDescription(bytes, facts))
      .then((resizedPixels) => describePixels(resizedPixels, facts)),
  ]);
  return { facts, renditions, ...description };
}

/** Resized renditions, and a promise of their encoded bytes. */
export interface PendingRenditions {
  /** Resized pixels, in the order of the plan. */
  readonly pixels: readonly Pixels[];
  readonly encodedRenditions: Promise<readonly EncodedRendition[]>;
}

/** Makes the planned renditions from the decoded base. Encodes each rendition while the next one is being resized. */
export async function makeRenditions(
  base: Pixels,
  plan: readonly PlannedRendition[],
): Promise<PendingRenditions> {
  const pixels: Pixels[] = [];
  const encodings: Promise<EncodedRendition>[] = [];
  for (const { preset, size, sourceIndex } of plan) {
    const resizedPixels = await resizeTo(pixels[sourceIndex] ?? base, size);
    pixels.push(resizedPixels);
    encodings.push(
      encodeJpeg(resizedPixels, preset.quality.jpeg).then((jpeg) => ({ preset, ...size, jpeg })),
    );
  }
  return { pixels, encodedRenditions: Promise.all(encodings) };
}
