import type { Fingerprint } from '../../model/fingerprint.ts';

/** Result of comparing the thumbnails of two pictures. */
export interface ThumbnailVerdict {
  /** Whether both thumbnails show the same picture. A product in a different colour counts as a different picture. */
  readonly isSamePicture: boolean;
  /** Mean colour difference ΔE*ab (CIE 1976) after fitting the exposure. A difference of 2.3 is just noticeable. */
  readonly difference: number;
  /** The reason, as a short clause. */
  readonly reason: string;
}

/**
 * Maximum differences between two versions of one picture. Re-encoding a photograph at JPEG quality 40 yields a mean
 * difference of at most 1.3, a `chroma99` of 3, a `maxChroma` of 4 and a `lightness99` of 1.
 */
const bounds = {
  /** Ratio of the two aspect ratios. It may exceed 1, because the sides of small copies are rounded to whole pixels. */
  aspect: 1.03,
  /** Mean colour difference. */
  meanDifference: 3,
  /**
   * Chroma difference (a*, b*): the 99th percentile and the maximum. Only the maximum reveals a small coloured detail.
   */
  chroma99: 8,
  maxChroma: 18,
  /** Difference in L*: the 99th percentile. */
  lightness99: 8,
};

/**
 * Compares the colours of two thumbnails to decide whether the pictures are near-duplicates. Hashes find the
 * candidates; this check decides which of them are reported. It is not used to decide whether renditions are reused,
 * because thumbnails do not show small print or slight changes of shade. The check compensates for a change in
 * exposure (a factor and an offset for L*, a factor for chroma). It rejects a picture in which the product, or a small
 * detail of it, has a different colour. The bounds were tuned on photographs of products in several colours.
 */
export function compareThumbnails(a: Fingerprint, b: Fingerprint): ThumbnailVerdict {
  // The exposure is always fitted in the same direction, so that the order of the arguments does not matter.
  const [from, to] = a.thumbnail <= b.thumbnail ? [a, b] : [b, a];
  const target = decodeThumbnail(to);
  const residuals = computeResiduals(fitExposure(decodeThumbnail(from), target), target);
  const difference = residuals.mean;
  const reason = describeDifference(Math.max(a.aspect / b.aspect, b.aspect / a.aspect), residuals);
  return {
    isSamePicture: reason === undefined,
    difference,
    reason: reason ?? 'the same colours in the same places',
  };
}

function describeDifference(aspectRatio: number, residuals: Residuals): string | undefined {
  if (!(aspectRatio <= bounds.aspect)) return 'different proportions';
  if (residuals.chroma99 > bounds.chroma99) return 'different colours';
  if (residuals.maxChroma > bounds.maxChroma) return 'a detail in a different colour';
  if (residuals.lightness99 > bounds.lightness99) return 'lighter or darker in places';
  return residuals.mean > bounds.meanDifference ? 'different colours overall' : undefined;
}

/** Returns L*, a* and b* of each pixel. */
function decodeThumbnail({ thumbnail }: Fingerprint): Float64Array {
  const bytes = Buffer.from(thumbnail, 'base64');
  return Float64Array.from(bytes, (byte, index) => (index % 3 === 0 ? byte / 2.55 : byte - 128));
}

/** Adapts `from` to the exposure of `to` by least squares, within the range of plausible exposure edits. */
function fitExposure(from: Float64Array, to: Float64Array): Float64Array {
  const isLightness = (_: number, index: number) => index % 3 === 0;
  const isChroma = (_: number, index: number) => index % 3 !== 0;
  const [fromLightness, toLightness] = [from.filter(isLightness), to.filter(isLightness)];
  const [fromMean, toMean] = [average(fromLightness), average(toLightness)];
  const variance = average(fromLightness.map((value) => (value - fromMean) ** 2));
  const covariance = average(
    fromLightness.map((value, index) => (value - fromMean) * ((toLightness[index] ?? 0) - toMean)),
  );
  const gain = clamp(variance > 1 ? covariance / variance : 1, 0.8, 1.25);
  const offset = clamp(toMean - gain * fromMean, -12, 12);
  const [fromChroma, toChroma] = [from.filter(isChroma), to.filter(isChroma)];
  const meanSquare = average(fromChroma.map((value) => value * value));
  const meanProduct = average(fromChroma.map((value, index) => value * (toChroma[index] ?? 0)));
  const saturation = meanSquare > 0.5 ? clamp(meanProduct / meanSquare, 0.85, 1.18) : 1;
  return from.map((value, index) => (index % 3 === 0 ? gain * value + offset : saturation * value));
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
  const percentileIndex = Math.floor(count * 0.99);
  const sortedChroma = chroma.toSorted();
  return {
    mean,
    chroma99: sortedChroma[percentileIndex] ?? 0,
    maxChroma: sortedChroma.at(-1) ?? 0,
    lightness99: lightness.toSorted()[percentileIndex] ?? 0,
  };
}

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function clamp(value: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, value));
}
