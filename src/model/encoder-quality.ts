import type { RenditionFormat } from './preset.ts';

/**
 * Points of equal SSIM: the quality of each encoder that yields the SSIM of a JPEG of the given quality, in the mean of
 * photographs at 400 pixels. `npm run bench:formats -- --calibrate` measures them. At the default quality, 85, the numbers are
 * higher, so that the SSIM is no lower at 1200 pixels either. At 80, WebP is 0.001 below JPEG, which nobody sees.
 */
const equalQualities = [
  { jpeg: 1, webp: 1, avif: 1 },
  { jpeg: 50, webp: 46, avif: 44 },
  { jpeg: 60, webp: 58, avif: 47 },
  { jpeg: 75, webp: 76, avif: 56 },
  { jpeg: 80, webp: 79, avif: 61 },
  { jpeg: 85, webp: 88, avif: 69 },
  { jpeg: 90, webp: 92, avif: 79 },
  { jpeg: 95, webp: 97, avif: 88 },
  { jpeg: 100, webp: 100, avif: 100 },
] as const;

/**
 * Returns the quality of an encoder that looks like a JPEG of the given quality (1 to 100). The numbers of different encoders
 * do not mean the same.
 */
export function equivalentQuality(jpegQuality: number, format: RenditionFormat): number {
  if (format === 'jpeg' || format === 'png') return jpegQuality;
  const upperIndex = Math.max(
    1,
    equalQualities.findIndex(({ jpeg }) => jpeg >= jpegQuality),
  );
  const [lower, upper] = [equalQualities[upperIndex - 1], equalQualities[upperIndex]];
  if (!lower || !upper) return jpegQuality;
  const fraction = (jpegQuality - lower.jpeg) / (upper.jpeg - lower.jpeg);
  return Math.round(lower[format] + fraction * (upper[format] - lower[format]));
}
