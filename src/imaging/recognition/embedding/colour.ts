import { colourDimensions } from '../../../model/similarity-score.ts';
import { type Content, minWeight } from './content.ts';
import { toUnitLength } from './vectors.ts';

const lightnessSteps = 8;
/** Chroma at the centre of each ring of bins. The rings widen outwards, because the eye tells greys apart most finely. */
const ringChromas = [0, 8, 18, 36, 70] as const;
/** Number of hues in each ring. The innermost ring is grey, which has no hue. */
const ringHues = [1, 6, 8, 9, 8] as const;
const firstBins = ringHues.map((_, ring) => ringHues.slice(0, ring).reduce((sum, hues) => sum + hues, 0));
const binsPerStep = colourDimensions / lightnessSteps;
const lastRing = ringHues.length - 1;

/**
 * Computes a colour histogram of the content, without the background: 8 steps of lightness × 32 bins of hue and chroma.
 * Each pixel is distributed over the adjacent bins, so that a small colour change has a small effect. Returns 256
 * numbers: the square roots of the bins (for the Hellinger kernel), scaled to a unit vector.
 */
export function colourFeatures({ lab, mask }: Content): Float64Array {
  const histogram = new Float64Array(colourDimensions);
  for (let pixel = 0, index = 0; pixel < mask.length; pixel++, index += 3) {
    const weight = mask[pixel] ?? 0;
    if (weight >= minWeight)
      addColour(histogram, weight, lab[index] ?? 0, lab[index + 1] ?? 0, lab[index + 2] ?? 0);
  }
  return toUnitLength(histogram.map(Math.sqrt));
}

function addColour(histogram: Float64Array, weight: number, lightness: number, a: number, b: number): void {
  const chroma = Math.sqrt(a * a + b * b);
  const angle = Math.atan2(b, a) / (2 * Math.PI);
  const turn = angle < 0 ? angle + 1 : angle;
  let ring = 0;
  while (ring < lastRing - 1 && chroma > (ringChromas[ring + 1] ?? 0)) ring++;
  const inner = ringChromas[ring] ?? 0;
  const outerFraction = Math.min(1, (chroma - inner) / ((ringChromas[ring + 1] ?? 0) - inner));
  const step = Math.max(0, Math.min(lightnessSteps - 1, (lightness / 100) * lightnessSteps - 0.5));
  const lower = Math.floor(step);
  const upperFraction = step - lower;
  addToRing(histogram, lower, ring, turn, weight * (1 - upperFraction) * (1 - outerFraction));
  addToRing(histogram, lower, ring + 1, turn, weight * (1 - upperFraction) * outerFraction);
  if (upperFraction === 0) return;
  addToRing(histogram, lower + 1, ring, turn, weight * upperFraction * (1 - outerFraction));
  addToRing(histogram, lower + 1, ring + 1, turn, weight * upperFraction * outerFraction);
}

/** Adds a weight to the two adjacent hues of one ring in one step of lightness. */
function addToRing(histogram: Float64Array, step: number, ring: number, turn: number, weight: number): void {
  const hues = ringHues[ring] ?? 1;
  const start = step * binsPerStep + (firstBins[ring] ?? 0);
  const hue = turn * hues;
  const first = Math.floor(hue) % hues;
  const second = first + 1 === hues ? 0 : first + 1;
  const fraction = hue - Math.floor(hue);
  histogram[start + first] = (histogram[start + first] ?? 0) + weight * (1 - fraction);
  histogram[start + second] = (histogram[start + second] ?? 0) + weight * fraction;
}
