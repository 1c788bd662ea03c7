import type { ResizeOptions, Sharp } from 'sharp';
import type { Size } from '../geometry.ts';
import { fromPixels, type Pixels, toPixels } from './pixels.ts';

/**
 * Full picture → pixels of exactly `size`: turned upright, its ICC profile (or CMYK, 16 bits, grey) converted to 8-bit
 * sRGB, transparency laid on white. The library decodes large JPEGs at a half, quarter or eighth where that leaves at
 * least twice the wanted pixels, so that the resize keeps its full quality.
 */
export async function decodeTo(source: Sharp, size: Size): Promise<Pixels> {
  return toPixels(
    source.autoOrient().flatten({ background: '#ffffff' }).resize(exactly(size)).toColourspace('srgb'),
  );
}

/** Options of a resize to exactly a size, without shrink-on-load, which blurs. */
export function exactly(size: Size): ResizeOptions {
  return { width: size.width, height: size.height, fit: 'fill', fastShrinkOnLoad: false };
}

/** Pixels resized to exactly `size` (Lanczos 3); the same pixels when they have that size already. */
export async function resizeTo(pixels: Pixels, size: Size): Promise<Pixels> {
  if (pixels.width === size.width && pixels.height === size.height) return pixels;
  return toPixels(fromPixels(pixels).resize({ ...size, fit: 'fill' }));
}

/** Pixels as JPEG bytes without any metadata; equal pixels and quality give equal bytes. */
export async function encodeJpeg(pixels: Pixels, quality: number): Promise<Buffer> {
  return fromPixels(pixels).jpeg({ quality, optimiseCoding: false }).toBuffer();
}
