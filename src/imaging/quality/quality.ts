import { lumaOf } from '../colour/luma.ts';
import type { Pixels } from '../decoding/pixels.ts';
import { ssimOf } from './metrics.ts';

/** Where the figure would be infinite. */
const maxDecibels = 100;

/**
 * Peak signal-to-noise ratio of two pictures of one size over red, green and blue, in dB: 10 log₁₀(255² ÷ mean squared
 * error), at most 100, which identical pixels get.
 */
export function psnrOf(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < a.length; at++) sum += ((a[at] ?? 0) - (b[at] ?? 0)) ** 2;
  return sum === 0 ? maxDecibels : Math.min(maxDecibels, 10 * Math.log10(255 ** 2 / (sum / a.length)));
}

/** SSIM of two pictures of one size; see `ssimOf`. */
export function ssimOfPixels(a: Pixels, b: Pixels): number {
  return ssimOf(lumaOf(a.data), lumaOf(b.data), a);
}
