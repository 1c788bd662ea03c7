import { signedRoots, toUnitLength } from './vectors.ts';
import { type Content, minWeight } from './content.ts';

const lightnessBins = 8;
const hueBins = 12;
const binsPerStep = 1 + 2 * hueBins;

/**
 * Computes a colour histogram of the content, without the background. It has 8 steps of lightness × (grey, 12 pale
 * hues, 12 strong hues). Each pixel is distributed over adjacent bins, so that a small colour change has a small
 * effect. Returns 200 numbers: the square roots of the bins (for the Hellinger kernel), scaled to a unit vector.
 */
export function colourFeatures({ lab, mask }: Content): Float64Array {
  const histogram = new Float64Array(lightnessBins * binsPerStep);
  for (let pixel = 0, index = 0; pixel < mask.length; pixel++, index += 3) {
    const weight = mask[pixel] ?? 0;
    if (weight >= minWeight)
      addColour(histogram, weight, lab[index] ?? 0, lab[index + 1] ?? 0, lab[index + 2] ?? 0);
  }
  return toUnitLength(signedRoots(histogram));
}

function addColour(histogram: Float64Array, weight: number, lightness: number, a: number, b: number): void {
  const step = clamp((lightness / 100) * lightnessBins - 0.5, 0, lightnessBins - 1);
  const lowerStep = Math.floor(step);
  const fraction = step - lowerStep;
  const upperStep = Math.min(lightnessBins - 1, lowerStep + 1);
  const chroma = Math.sqrt(a * a + b * b);
  // Up to a chroma of 6, a pixel is grey; at 18 and above, it has a hue. Up to 25, the hue is pale; at 45 and above, it
  // is strong.
  const greyFraction = clamp((18 - chroma) / 12, 0, 1);
  const lowerWeight = weight * (1 - fraction);
  const upperWeight = weight * fraction;
  addToBin(histogram, lowerStep * binsPerStep, lowerWeight * greyFraction);
  addToBin(histogram, upperStep * binsPerStep, upperWeight * greyFraction);
  if (greyFraction === 1) return;
  const angle = Math.atan2(b, a) / (2 * Math.PI);
  const hue = (angle < 0 ? angle + 1 : angle) * hueBins;
  const strongFraction = clamp((chroma - 25) / 20, 0, 1);
  addHue(histogram, lowerStep * binsPerStep, lowerWeight * (1 - greyFraction), hue, strongFraction);
  addHue(histogram, upperStep * binsPerStep, upperWeight * (1 - greyFraction), hue, strongFraction);
}

function addHue(
  histogram: Float64Array,
  start: number,
  weight: number,
  hue: number,
  strongFraction: number,
): void {
  const first = Math.floor(hue) % hueBins;
  const second = (first + 1) % hueBins;
  const fraction = hue - Math.floor(hue);
  const paleWeight = weight * (1 - strongFraction);
  addToBin(histogram, start + 1 + first, paleWeight * (1 - fraction));
  addToBin(histogram, start + 1 + second, paleWeight * fraction);
  if (strongFraction === 0) return;
  addToBin(histogram, start + 1 + hueBins + first, weight * strongFraction * (1 - fraction));
  addToBin(histogram, start + 1 + hueBins + second, weight * strongFraction * fraction);
}

function addToBin(histogram: Float64Array, bin: number, amount: number): void {
  histogram[bin] = (histogram[bin] ?? 0) + amount;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
