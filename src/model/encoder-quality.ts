import type { RenditionFormat } from './preset.ts';

/**
 * Points of equal SSIM: the quality of each encoder that yields the SSIM of a JPEG of the given quality.
 * `npm run bench:formats -- --calibrate` measures them.
 */
const equalQualities = [
  { jpeg: 1, webp: 1, avif: 1 },
  { jpeg: 50, webp: 50, avif: 40 },
  { jpeg: 75, webp: 74, avif: 54 },
  { jpeg: 85, webp: 82, avif: 63 },
  { jpeg: 95, webp: 93, avif: 80 },
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
