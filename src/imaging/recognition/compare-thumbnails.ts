import type { Fingerprint } from '../../model/fingerprint.ts';

/** Result of comparing the thumbnails of two pictures. */
export interface ThumbnailVerdict {
  /** Whether both show the same picture. A product in another colour is not the same. */
  readonly same: boolean;
  /** Mean colour difference ΔE*ab (CIE 1976) after fitting the exposure. 2.3 is just noticeable. */
  readonly difference: number;
  /** The reason, as a short clause. */
  readonly reason: string;
}

/**
 * Maximum differences of the same picture. Re-encoding a photograph at JPEG quality 40 yields at most 1.3, 3, 4 and 1
 * for the last four.
 */
const bounds = {
  /** Ratio of the aspect ratios: sides of small copies are rounded to whole pixels. */
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
 * this check decides which ones are reported. It never decides whose renditions are reused, because print and shades
 * are too small to be detected. Compensates a change of exposure (a common factor and offset of L*, a common factor of
 * chroma). Rejects a product in another colour, even if only a small detail is coloured. The bounds were tuned on
 * photographs of products in several colours.
 */
export function compareThumbnails(a: Fingerprint, b: Fingerprint): ThumbnailVerdict {
  // Always fitted in the same direction, so that the order of the arguments does not matter.
  const [from, to] = a.thumbnail <= b.thumbnail ? [a, b] : [b, a];
  const target = labOfThumbnail(to);
  const residues = residuesOf(fitExposure(labOfThumbnail(from), target), target);
  const difference = residues.mean;
  const reason = objection(Math.max(a.aspect / b.aspect, b.aspect / a.aspect), residues);
  return { same: reason === undefined, difference, reason: reason ?? 'the same colours in the same places' };
}

function objection(aspectRatio: number, residues: Residues): string | undefined {
  if (!(aspectRatio <= bounds.aspect)) return 'different proportions';
  if (residues.chroma99 > bounds.chroma99) return 'different colours';
  if (residues.maxChroma > bounds.maxChroma) return 'a detail in a different colour';
  if (residues.lightness99 > bounds.lightness99) return 'lighter or darker in places';
  return residues.mean > bounds.meanDifference ? 'different colours overall' : undefined;
}

/** Returns L*, a*, b* of each pixel. */
function labOfThumbnail({ thumbnail }: Fingerprint): Float64Array {
  const bytes = Buffer.from(thumbnail, 'base64');
  return Float64Array.from(bytes, (byte, at) => (at % 3 === 0 ? byte / 2.55 : byte - 128));
}

/** Adapts `from` to the exposure of `to` by least squares, within the range of plausible exposure edits. */
function fitExposure(from: Float64Array, to: Float64Array): Float64Array {
  const lightness = (_: number, at: number) => at % 3 === 0;
  const chroma = (_: number, at: number) => at % 3 !== 0;
  const [x, y] = [from.filter(lightness), to.filter(lightness)];
  const [meanX, meanY] = [meanOf(x), meanOf(y)];
  const variance = meanOf(x.map((value) => (value - meanX) ** 2));
  const covariance = meanOf(x.map((value, at) => (value - meanX) * ((y[at] ?? 0) - meanY)));
  const gain = clamp(variance > 1 ? covariance / variance : 1, 0.8, 1.25);
  const offset = clamp(meanY - gain * meanX, -12, 12);
  const [u, v] = [from.filter(chroma), to.filter(chroma)];
  const power = meanOf(u.map((value) => value * value));
  const common = meanOf(u.map((value, at) => value * (v[at] ?? 0)));
  const strength = power > 0.5 ? clamp(common / power, 0.85, 1.18) : 1;
  return from.map((value, at) => (at % 3 === 0 ? gain * value + offset : strength * value));
}

interface Residues {
  readonly mean: number;
  readonly chroma99: number;
  readonly maxChroma: number;
  readonly lightness99: number;
}

function residuesOf(a: Float64Array, b: Float64Array): Residues {
  const count = a.length / 3;
  const lightness = new Float64Array(count);
  const chroma = new Float64Array(count);
  for (let pixel = 0, at = 0; pixel < count; pixel++, at += 3) {
    lightness[pixel] = Math.abs((a[at] ?? 0) - (b[at] ?? 0));
    chroma[pixel] = Math.hypot((a[at + 1] ?? 0) - (b[at + 1] ?? 0), (a[at + 2] ?? 0) - (b[at + 2] ?? 0));
  }
  const mean = meanOf(chroma.map((value, pixel) => Math.hypot(value, lightness[pixel] ?? 0)));
  const percentile = Math.floor(count * 0.99);
  const sortedChroma = chroma.toSorted();
  return {
    mean,
    chroma99: sortedChroma[percentile] ?? 0,
    maxChroma: sortedChroma.at(-1) ?? 0,
    lightness99: lightness.toSorted()[percentile] ?? 0,
  };
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
