import type { PictureQuality } from '../../model/quality.ts';

/** How to read the figures of a comparison. */
export const readingNote =
  'PSNR: above 40 dB excellent, 30 to 40 good, below 30 visible artefacts; 100 means identical pixels. Distance of the perceptual hashes: 0 identical, 1 to 5 very similar, 6 to 10 similar, above 10 different.';

/** The figures of one comparison in words. */
export function comparisonNote({ psnr, hashDistance }: PictureQuality): string {
  return `${qualityWord(psnr)}; ${likenessWord(hashDistance)}`;
}

/** A figure as it is shown: nobody reads more digits than these. */
export function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

function qualityWord(psnr: number): string {
  if (psnr >= 100) return 'identical pixels';
  if (psnr > 40) return 'excellent quality';
  return psnr >= 30 ? 'good quality' : 'visible artefacts';
}

function likenessWord(distance: number): string {
  if (distance === 0) return 'identical picture';
  if (distance <= 5) return 'very similar picture';
  return distance <= 10 ? 'similar picture' : 'different picture';
}
