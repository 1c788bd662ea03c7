import type { Fingerprint } from '../../model/fingerprint.ts';

/** Result of comparing the thumbnails of two pictures. */
export interface ThumbnailVerdict {
  /** Whether both show the same picture. A product in a different colour is not the same. */
  readonly same: boolean;
  /** Mean colour difference ΔE*ab (CIE 1976) after fitting the exposure. 2.3 is just noticeable. */
  readonly difference: number;
  /** The reason, as a short clause. */
  readonly reason: string;
}

/**
 * Maximum differences between two versions of one picture. Re-encoding a photograph at JPEG quality 40 yields a mean
 * difference of at most 1.3, `chroma99` 3, `maxChroma` 4 and `lightness99` 1.
 */
const bounds = {
  /** Ratio of the aspect ratios. Above 1, because the sides of small copies are rounded to whole pixels. */
  aspect: 1.03,
  meanDifference: 3,
  /** Chroma difference (a*, b*): 99th percentile, and any single pixel, since coloured details are small. */
  chroma99: 8,
  maxChroma: 18,
  /** Difference of L*: 99th percentile. */
  lightness99: 8,
};

/**
 * Decides from the colours of their thumbnails whether two pictures are near-duplicates. Hashes find the candidates;
 * this check decides which of them are reported. It never decides whether renditions are reused, because thumbnails do
 * not show small print or slight changes of shade. It compensates for a change of exposure (a common factor and offset
 * of L*, a common factor of chroma), and rejects a product in a different colour even if only a small detail is
 * coloured. The bounds were tuned on photographs of products in several colours.
 */
export function compareThumbnails(a: Fingerprint, b: Fingerprint): ThumbnailVerdict {
  // The exposure is always fitted in the same direction, so that the order of the arguments does not matter.
  const [from, to] = a.thumbnail <= b.thumbnail ? [a, b] : [b, a];
  const target = decodeThumbnail(to);
  const residuals = computeResiduals(fitExposure(decodeThumbnail(from), target), target);
  const difference = residuals.mean;
  const reason = describeDifference(Math.max(a.aspect / b.aspect, b.aspect / a.aspect), residuals);
  return { same: reason === undefined, difference, reason: reason ?? 'the same colours in the same places' };
}

function describeDifference(aspectRatio: number, residuals: Residuals): string | undefined {
  if (!(aspectRatio <= bounds.aspect)) return 'different proportions';
  if (residuals.chroma99 > bounds.chroma99) return 'different colours';
  if (residuals.maxChroma > bounds.maxChroma) return 'a detail in a different colour';
  if (residuals.lightness99 > bounds.lightness99) return 'lighter or darker in places';
  return residuals.mean > bounds.meanDifference ? 'different colours overall' : undefined;
}

/** Returns L*, a*, b* of each pixel. */
function decodeThumbnail({ thumbnail }: Fingerprint): Float64Array {
  const bytes = Buffer.from(thumbnail, 'base64');
  return Float64Array.from(bytes, (byte, index) => (index % 3 === 0 ? byte / 2.55 : byte - 128));
}

/** Adapts `from` to the exposure of `to` by least squares, within the range of plausible exposure edits. */
function fitExposure(from: Float64Array, to: Float64Array): Float64Array {
  const lightness = (_: number, index: number) => index % 3 === 0;
  const chroma = (_: number, index: number) => index % 3 !== 0;
  const [x, y] = [from.filter(lightness), to.filter(lightness)];
  const [meanX, meanY] = [average(x), average(y)];
  const variance = average(x.map((value) => (value - meanX) ** 2));
  const covariance = average(x.map((value, index) => (value - meanX) * ((y[index] ?? 0) - meanY)));
  const gain = clamp(variance > 1 ? covariance / variance : 1, 0.8, 1.25);
  const offset = clamp(meanY - gain * meanX, -12, 12);
  const [u, v] = [from.filter(chroma), to.filter(chroma)];
  const power = average(u.map((value) => value * value));
  const common = average(u.map((value, index) => value * (v[index] ?? 0)));
  const strength = power > 0.5 ? clamp(common / power, 0.85, 1.18) : 1;
  return from.map((value, index) => (index % 3 === 0 ? gain * value + offset : strength * value));
}

interface Residuals {
  readonly mean: number;
  readonly chroma99: number;
  readonly maxChroma: number;
  readonly lightness99: number;
}

function computeResiduals(a: Float64Array, b: Float64Array): Residuals {
  const count = a.length / 3;
  const lightness = new Float64Array(count);
  const chroma = new Float64Array(count);
  for (let pixel = 0, index = 0; pixel < count; pixel++, index += 3) {
    lightness[pixel] = Math.abs((a[index] ?? 0) - (b[index] ?? 0));
    chroma[pixel] = Math.hypot(
      (a[index + 1] ?? 0) - (b[index + 1] ?? 0),
      (a[index + 2] ?? 0) - (b[index + 2] ?? 0),
    );
  }
  const mean = average(chroma.map((value, pixel) => Math.hypot(value, lightness[pixel] ?? 0)));
  const percentile = Math.floor(count * 0.99);
  const sortedChroma = chroma.toSorted();
  return {
    mean,
    chroma99: sortedChroma[percentile] ?? 0,
    maxChroma: sortedChroma.at(-1) ?? 0,
    lightness99: lightness.toSorted()[percentile] ?? 0,
  };
}

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
