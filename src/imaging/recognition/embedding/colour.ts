import { signedRoots, unitLength } from './vectors.ts';
import { type Content, minWeight } from './content.ts';

const lightnessBins = 8;
const hueBins = 12;
const binsOfLightness = 1 + 2 * hueBins;

/**
 * Computes the colour histogram of the content without the background: 8 steps of lightness × (grey, 12 pale hues, 12
 * strong hues). Each pixel is distributed over adjacent bins, so that a small colour change has a small effect. Square
 * roots (Hellinger); 200 numbers, length 1.
 */
export function colourBlock({ lab, mask }: Content): Float64Array {
  const histogram = new Float64Array(lightnessBins * binsOfLightness);
  for (let pixel = 0, at = 0; pixel < mask.length; pixel++, at += 3) {
    const weight = mask[pixel] ?? 0;
    if (weight >= minWeight) addColour(histogram, weight, lab[at] ?? 0, lab[at + 1] ?? 0, lab[at + 2] ?? 0);
  }
  return unitLength(signedRoots(histogram));
}

function addColour(histogram: Float64Array, weight: number, lightness: number, a: number, b: number): void {
  const step = clamp((lightness / 100) * lightnessBins - 0.5, 0, lightnessBins - 1);
  const below = Math.floor(step);
  const share = step - below;
  const above = Math.min(lightnessBins - 1, below + 1);
  const chroma = Math.sqrt(a * a + b * b);
  // Grey up to a chroma of 6, a hue from 18; pale up to 25, strong from 45.
  const grey = clamp((18 - chroma) / 12, 0, 1);
  const lower = weight * (1 - share);
  const upper = weight * share;
  add(histogram, below * binsOfLightness, lower * grey);
  add(histogram, above * binsOfLightness, upper * grey);
  if (grey === 1) return;
  const angle = Math.atan2(b, a) / (2 * Math.PI);
  const hue = (angle < 0 ? angle + 1 : angle) * hueBins;
  const strong = clamp((chroma - 25) / 20, 0, 1);
  addHue(histogram, below * binsOfLightness, lower * (1 - grey), hue, strong);
  addHue(histogram, above * binsOfLightness, upper * (1 - grey), hue, strong);
}

function addHue(histogram: Float64Array, start: number, weight: number, hue: number, strong: number): void {
  const first = Math.floor(hue) % hueBins;
  const second = (first + 1) % hueBins;
  const share = hue - Math.floor(hue);
  const pale = weight * (1 - strong);
  add(histogram, start + 1 + first, pale * (1 - share));
  add(histogram, start + 1 + second, pale * share);
  if (strong === 0) return;
  add(histogram, start + 1 + hueBins + first, weight * strong * (1 - share));
  add(histogram, start + 1 + hueBins + second, weight * strong * share);
}

function add(histogram: Float64Array, bin: number, amount: number): void {
  histogram[bin] = (histogram[bin] ?? 0) + amount;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
