import type { PictureFacts, PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import { asDamagedPicture } from './decode-errors.ts';
import { fitInside } from './geometry.ts';
import type { Pixels } from './pixels.ts';
import { probe } from './probe.ts';
import { planRenditions, type PlannedRendition } from './rendition-plan.ts';
import { openSource } from './source.ts';
import { decodeTo, encodeJpeg, resizeTo } from './steps.ts';

/** One encoded rendition. */
export interface EncodedRendition {
  readonly preset: Preset;
  readonly width: number;
  readonly height: number;
  readonly jpeg: Buffer;
}

/** Everything that one decode of a picture gives. */
export interface DerivedPixels {
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
 * made from those pixels. A later step (fingerprint, embedding, quality figures) takes `base` too and runs beside
 * the renditions.
 * @throws AppError of `probe`, and `picture_damaged` when the pixels cannot be decoded.
 */
export async function deriveRenditions({ bytes, limits, presets }: DeriveInput): Promise<DerivedPixels> {
  const facts = await probe(bytes, limits);
  const plan = planRenditions(facts, presets);
  const base = await decodeBase(bytes, facts, plan);
  const renditions = await makeRenditions(base, plan);
  return { facts, renditions };
}

async function decodeBase(
  bytes: Uint8Array,
  facts: PictureFacts,
  plan: readonly PlannedRendition[],
): Promise<Pixels> {
  const size = plan[0]?.size ?? fitInside(facts, facts);
  try {
    return await decodeTo(openSource(bytes, facts.format), size);
  } catch (error) {
    throw asDamagedPicture(error, facts.format);
  }
}

/** Encodes each rendition while the next smaller one is being resized. */
async function makeRenditions(
  base: Pixels,
  plan: readonly PlannedRendition[],
): Promise<readonly EncodedRendition[]> {
  const made: Pixels[] = [];
  const encodings: Promise<EncodedRendition>[] = [];
  for (const { preset, size, from } of plan) {
    const pixels = await resizeTo(made[from] ?? base, size);
    made.push(pixels);
    encodings.push(encodeJpeg(pixels, preset.quality).then((jpeg) => ({ preset, ...size, jpeg })));
  }
  return Promise.all(encodings);
}
