import type { Fingerprint } from '../../model/fingerprint.ts';

/** What two thumbnails say about two pictures. */
export interface ThumbnailVerdict {
  /** Whether both show the same picture; a product in another colour is not the same. */
  readonly same: boolean;
  /** Mean colour difference ΔE*ab (CIE 1976) after the exposure was fitted; 2.3 is just noticeable. */
  readonly difference: number;
  /** Why, as a short clause. */
  readonly reason: string;
}

/** Bounds of the colour-aware check. Re-encoding a photograph at JPEG quality 40 stays below 1.3, 3, 4 and 1. */
const bounds = {
  /** Ratio of the aspect ratios; sides of small copies are rounded to whole pixels. */
  aspect: 1.03,
  meanDifference: 3,
  /** Chroma (a*, b*) that the 99th percentile, and any single pixel, may be off: coloured details are small. */
  usualChroma: 8,
  anyChroma: 18,
  /** The same for L*, 99th percentile. */
  usualLightness: 8,
};

/**
 * Whether two pictures look like the same one, by the colours of their thumbnails: hashes find candidates, this decides
 * which are reported. Print and shades are too small to detect, so it never decides whose renditions are used. A change
 * of exposure (a common factor and offset of L*, a common factor of chroma) is fitted away; a product in another colour
 * is never the same, also where only a small detail is coloured. Bounds tuned on photographs of products that come in
 * several colours.
 */
export function compareThumbnails(a: Fingerprint, b: Fingerprint): ThumbnailVerdict {
  // Fitted in one direction whatever the order, so that the verdict is the same from both sides.
  const [from, to] = a.thumbnail <= b.thumbnail ? [a, b] : [b, a];
  const target = labOfThumbnail(to);
  const residues = residuesOf(fitExposure(labOfThumbnail(from), target), target);
  const difference = residues.mean;
  const reason = objection(Math.max(a.aspect / b.aspect, b.aspect / a.aspect), residues);
  return { same: reason === undefined, difference, reason: reason ?? 'the same colours in the same places' };
}

function objection(aspectRatio: number, residues: Residues): string | undefined {
  if (!(aspectRatio <= bounds.aspect)) return 'other proportions';
  if (residues.usualChroma > bounds.usualChroma) return 'other colours';
  if (residues.anyChroma > bounds.anyChroma) return 'a detail in another colour';
  if (residues.usualLightness > bounds.usualLightness) return 'lighter or darker in places';
  return residues.mean > bounds.meanDifference ? 'other colours at large' : undefined;
}

/** L*, a*, b* of each pixel in turn. */
function labOfThumbnail({ thumbnail }: Fingerprint): Float64Array {
  const bytes = Buffer.from(thumbnail, 'base64');
  return Float64Array.from(bytes, (byte, at) => (at % 3 === 0 ? byte / 2.55 : byte - 128));
}

/** `from` with the exposure of `to`, by least squares, within what an edit of exposure may do. */
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
  readonly usualChroma: number;
  readonly anyChroma: number;
  readonly usualLightness: number;
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
  const place = Math.floor(count * 0.99);
  const sortedChroma = chroma.toSorted();
  return {
    mean,
    usualChroma: sortedChroma[place] ?? 0,
    anyChroma: sortedChroma.at(-1) ?? 0,
    usualLightness: lightness.toSorted()[place] ?? 0,
  };
}

function meanOf(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}
