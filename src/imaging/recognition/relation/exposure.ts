import type { View } from './view.ts';

/** How the values of one picture (0–255) become those of another: 255 × gain × (value ÷ 255) ^ gamma + offset. */
export interface Exposure {
  readonly gain: number;
  readonly gamma: number;
  readonly offset: number;
}

/** The exposure that changes nothing. */
export const sameExposure: Exposure = { gain: 1, gamma: 1, offset: 0 };

const gains = [0.8, 0.88, 0.94, 1, 1.06, 1.13, 1.25];
const gammas = [0.77, 0.83, 0.89, 0.95, 1, 1.06, 1.13, 1.21, 1.3];
/** Larger residuals do not count: they belong to parts that have been recoloured or covered. */
const maxResidual = 8;
/** Samples from this value on may have been clipped. */
const maxUnclipped = 250;
const maxSamples = 3_000;
const minSamples = 50;
const refinements = 4;

/** Corresponding values of both pictures. */
interface Samples {
  readonly first: Uint8Array;
  readonly second: Float64Array;
}

/**
 * Fits the exposure that turns `first` into `second`. Parts in which the pictures show different colours hardly influence the
 * result, as long as they are the smaller part.
 */
export function fitExposure(first: Float32Array, second: Float32Array): Exposure {
  const step = Math.max(1, Math.floor(first.length / maxSamples));
  const indexes = Array.from(
    { length: Math.floor(first.length / step) },
    (_, sample) => sample * step,
  ).filter((index) => (first[index] ?? 0) < maxUnclipped && (second[index] ?? 0) < maxUnclipped);
  if (indexes.length < minSamples) return sameExposure;
  const samples: Samples = {
    first: Uint8Array.from(indexes, (index) => Math.round(first[index] ?? 0)),
    second: Float64Array.from(indexes, (index) => second[index] ?? 0),
  };
  let best = sameExposure;
  let bestCost = computeCost(samples, sameExposure) * 0.95;
  for (const gamma of gammas) {
    for (const gain of gains) {
      const exposure = { gain, gamma, offset: 0 };
      const cost = computeCost(samples, exposure);
      if (cost < bestCost) [best, bestCost] = [exposure, cost];
    }
  }
  for (let round = 0; round < refinements; round++) {
    const refined = refine(samples, best);
    const cost = computeCost(samples, refined);
    if (!(cost < bestCost)) break;
    [best, bestCost] = [refined, cost];
  }
  return best;
}

/** Returns the view that a picture would have with another exposure. Only its pixels are changed. */
export function changeExposure(view: View, exposure: Exposure): View {
  const table = Uint8Array.from({ length: 256 }, (_, value) => Math.round(clamp(convert(value, exposure))));
  const data = Buffer.allocUnsafe(view.pixels.data.length);
  for (let index = 0; index < data.length; index++) data[index] = table[view.pixels.data[index] ?? 0] ?? 0;
  return { ...view, pixels: { ...view.pixels, data } };
}

/** Largest change of any value, in levels of 255. */
export function largestChange(exposure: Exposure): number {
  let largest = 0;
  for (let value = 0; value <= 255; value += 5)
    largest = Math.max(largest, Math.abs(clamp(convert(value, exposure)) - value));
  return largest;
}

function convert(value: number, { gain, gamma, offset }: Exposure): number {
  return 255 * gain * (value / 255) ** gamma + offset;
}

function clamp(value: number): number {
  return Math.max(0, Math.min(255, value));
}

function computeCost({ first, second }: Samples, exposure: Exposure): number {
  const table = Float64Array.from({ length: 256 }, (_, value) => convert(value, exposure));
  let cost = 0;
  for (let index = 0; index < first.length; index++) {
    const residual = (table[first[index] ?? 0] ?? 0) - (second[index] ?? 0);
    cost += Math.min(residual * residual, maxResidual * maxResidual);
  }
  return cost / first.length;
}

/** Fits gain and offset by least squares, and gamma by a small step, to the samples whose residuals count. */
function refine(samples: Samples, exposure: Exposure): Exposure {
  const { first, second } = samples;
  const current = Float64Array.from({ length: 256 }, (_, value) => convert(value, exposure));
  let best = exposure;
  let bestCost = Number.POSITIVE_INFINITY;
  for (const factor of [0.97, 0.985, 1, 1.015, 1.03]) {
    const gamma = exposure.gamma * factor;
    let [count, sumX, sumY, sumXx, sumXy] = [0, 0, 0, 0, 0];
    const table = Float64Array.from({ length: 256 }, (_, value) =>
      convert(value, { gain: 1, gamma, offset: 0 }),
    );
    for (const [index, a] of first.entries()) {
      const b = second[index] ?? 0;
      if (Math.abs((current[a] ?? 0) - b) > maxResidual) continue;
      const x = table[a] ?? 0;
      count++;
      sumX += x;
      sumY += b;
      sumXx += x * x;
      sumXy += x * b;
    }
    const variance = sumXx - (sumX * sumX) / count;
    if (!(variance > count)) continue;
    const gain = (sumXy - (sumX * sumY) / count) / variance;
    const candidate = { gain, gamma, offset: (sumY - gain * sumX) / count };
    const cost = computeCost(samples, candidate);
    if (cost < bestCost) [best, bestCost] = [candidate, cost];
  }
  return best;
}
