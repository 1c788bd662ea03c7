import type { Preset } from '../../model/preset.ts';
import type { Pixels } from '../decoding/pixels.ts';
import type { PlannedRendition } from './rendition-plan.ts';
import { encodeJpeg, resizeTo } from '../decoding/steps.ts';

/** One encoded rendition. */
export interface EncodedRendition {
  readonly preset: Preset;
  readonly width: number;
  readonly height: number;
  readonly jpeg: Buffer;
}

/** Renditions on their way: their pixels, and the promise of their bytes. */
export interface RenditionsAtWork {
  /** Pixels in the order of the plan. */
  readonly pixels: readonly Pixels[];
  readonly encoded: Promise<readonly EncodedRendition[]>;
}

/** Encodes each rendition while the next smaller one is being resized. */
export async function makeRenditions(
  base: Pixels,
  plan: readonly PlannedRendition[],
): Promise<RenditionsAtWork> {
  const pixels: Pixels[] = [];
  const encodings: Promise<EncodedRendition>[] = [];
  for (const { preset, size, from } of plan) {
    const made = await resizeTo(pixels[from] ?? base, size);
    pixels.push(made);
    encodings.push(encodeJpeg(made, preset.quality).then((jpeg) => ({ preset, ...size, jpeg })));
  }
  return { pixels, encoded: Promise.all(encodings) };
}
