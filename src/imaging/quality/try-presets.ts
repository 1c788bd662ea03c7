import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import type { PresetTrial } from '../../model/quality.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { fitInside } from '../geometry.ts';
import { lumaOf } from '../colour/luma-and-lab.ts';
import { type EncodedRendition, makeRenditions } from '../renditions/derive-renditions.ts';
import { decodeTo, type Pixels, resizeTo } from '../decoding/pixels.ts';
import { probe } from '../probe.ts';
import { planRenditions } from '../renditions/rendition-plan.ts';
import { openSource } from '../decoding/open-source.ts';
import { ssimOf } from './metrics.ts';

/** Renditions are compared with the original at the size of a product page's large picture. */
const comparedBox = { width: 1200, height: 1200 };

/**
 * Measures what each preset would make of a picture, in the order of `presets`. Quality is the SSIM of the encoded
 * rendition, enlarged with Lanczos, against the picture scaled to at most 1200 px: what a viewer loses.
 * @throws AppError of `probe`, and of the family `picture_damaged`.
 */
export async function tryPresets(
  bytes: Uint8Array,
  limits: PictureLimits,
  presets: readonly Preset[],
): Promise<{ readonly facts: PictureFacts; readonly results: readonly PresetTrial[] }> {
  const facts = await probe(bytes, limits);
  const plan = planRenditions(facts, presets);
  const comparedSize = fitInside(facts, comparedBox);
  const largest = plan[0]?.size ?? comparedSize;
  const base = await decodePicture(bytes, facts, largest.width > comparedSize.width ? largest : comparedSize);
  const reference = await resizeTo(base, comparedSize);
  const luma = lumaOf(reference.data);
  const { encoded } = await makeRenditions(base, plan);
  const results = new Map<Preset, PresetTrial>();
  for (const rendition of await encoded) {
    results.set(rendition.preset, await measure(rendition, luma, reference));
  }
  return { facts, results: presets.flatMap((preset) => results.get(preset) ?? []) };
}

async function measure(
  { preset, width, height, jpeg }: EncodedRendition,
  luma: Float32Array,
  reference: Pixels,
): Promise<PresetTrial> {
  const decoded = await decodeTo(openSource(jpeg, 'jpeg'), { width, height });
  const enlarged = await resizeTo(decoded, { width: reference.width, height: reference.height });
  const quality = ssimOf(luma, lumaOf(enlarged.data), reference);
  return { preset: preset.name, width, height, bytes: jpeg.length, quality: Math.max(0, quality) };
}
