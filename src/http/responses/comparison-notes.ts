import type { PictureQuality } from '../../model/quality.ts';

/** Explains how to interpret the metrics of a comparison. */
export const metricsNote =
  'PSNR: above 40 dB is excellent, 30 to 40 dB is good, and below 30 dB means visible artefacts; 100 means identical pixels. Perceptual hash distance: 0 means identical, 1 to 5 very similar, 6 to 10 similar, and above 10 different.';

/** Describes the metrics of a comparison in words. */
export function describeComparison({ psnr, hashDistance }: PictureQuality): string {
  return `${describeQuality(psnr)}; ${describeDistance(hashDistance)}`;
}

/** Rounds a metric for display. */
export function roundTo(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function describeQuality(psnr: number): string {
  if (psnr >= 100) return 'identical pixels';
  if (psnr > 40) return 'excellent quality';
  return psnr >= 30 ? 'good quality' : 'visible artefacts';
}

function describeDistance(distance: number): string {
  if (distance === 0) return 'identical image';
  if (distance <= 5) return 'very similar image';
  return distance <= 10 ? 'similar image' : 'different image';
}
