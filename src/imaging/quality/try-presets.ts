import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import type { PresetTrial } from '../../model/quality.ts';
import { decodePicture } from '../decoding/decode-picture.ts';
import { fitInside } from '../geometry.ts';
import { toLuma } from '../colour/luma-and-lab.ts';
import { type EncodedRendition, makeRenditions } from '../renditions/derive-renditions.ts';
import { decodeTo, type Pixels, resizeTo } from '../decoding/pixels.ts';
import { probe } from '../probe.ts';
import { planRenditions } from '../renditions/rendition-plan.ts';
import { openPicture } from '../decoding/open-picture.ts';
import { computeSsim } from './metrics.ts';

/** Renditions are compared with the original at the usual size of the large picture on a product page. */
const comparisonBox = { width: 1200, height: 1200 };

/**
 * Measures the rendition that each preset would produce from a picture, in the order of `presets`. The quality is the
 * SSIM between the picture, scaled down to at most 1200 × 1200 pixels, and the rendition, enlarged to the same size
 * with Lanczos. A low quality means that a viewer would lose much detail.
 * @throws AppError as `probe` does, or with a code of the `picture_damaged` family.
 */
export async function tryPresets(
  bytes: Uint8Array,
  limits: PictureLimits,
  presets: readonly Preset[],
): Promise<{ readonly facts: PictureFacts; readonly results: readonly PresetTrial[] }> {
  const facts = await probe(bytes, limits);
  const plan = planRenditions(facts, presets);
  const comparisonSize = fitInside(facts, comparisonBox);
  const largestSize = plan[0]?.size ?? comparisonSize;
  const base = await decodePicture(
    bytes,
    facts,
    largestSize.width > comparisonSize.width ? largestSize : comparisonSize,
  );
  const original = await resizeTo(base, comparisonSize);
  const originalLuma = toLuma(original.data);
  const { encodedRenditions } = await makeRenditions(base, plan);
  const results = new Map<Preset, PresetTrial>();
  for (const rendition of await encodedRenditions) {
    results.set(rendition.preset, await measureRendition(rendition, originalLuma, original));
  }
  return { facts, results: presets.flatMap((preset) => results.get(preset) ?? []) };
}

async function measureRendition(
  { preset, width, height, jpeg }: EncodedRendition,
  originalLuma: Float32Array,
  original: Pixels,
): Promise<PresetTrial> {
  const decodedPixels = await decodeTo(openPicture(jpeg, 'jpeg'), { width, height });
  const enlargedPixels = await resizeTo(decodedPixels, { width: original.width, height: original.height });
  const quality = computeSsim(originalLuma, toLuma(enlargedPixels.data), original);
  return { preset: preset.name, width, height, bytes: jpeg.length, quality: Math.max(0, quality) };
}
