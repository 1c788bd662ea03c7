import type { ResizeOptions, Sharp } from 'sharp';
import type { Size } from '../geometry.ts';
import { sharp } from './native-library.ts';

/** Upright, opaque sRGB pixels: 3 channels of 8 bits, rows from top to bottom, no padding. */
export interface Pixels extends Size {
  readonly data: Buffer;
}

/**
 * Decodes a source to exactly `size`: applies the orientation, converts any colour space and bit depth to 8-bit sRGB,
 * and flattens transparency onto white. The library decodes large JPEGs at 1/2, 1/4 or 1/8 scale, but never at less than
 * twice the required width and height, so that the resize keeps its full quality.
 */
export async function decodeTo(source: Sharp, size: Size): Promise<Pixels> {
  return toPixels(
    source
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .resize(exactResizeOptions(size))
      .toColourspace('srgb'),
  );
}

/** Returns resize options for exactly `size`. Fast shrink-on-load is disabled because it blurs the picture. */
export function exactResizeOptions(size: Size): ResizeOptions {
  return { width: size.width, height: size.height, fit: 'fill', fastShrinkOnLoad: false };
}

/** Resizes to exactly `size` (Lanczos 3). Returns the same object if the size already matches. */
export async function resizeTo(pixels: Pixels, size: Size): Promise<Pixels> {
  if (pixels.width === size.width && pixels.height === size.height) return pixels;
  return toPixels(fromPixels(pixels).resize({ ...size, fit: 'fill' }));
}

/** Encodes pixels as a JPEG without metadata. The same pixels and quality yield the same bytes. */
export async function encodeJpeg(pixels: Pixels, quality: number): Promise<Buffer> {
  return fromPixels(pixels).jpeg({ quality, optimiseCoding: false }).toBuffer();
}

async function toPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  // The colour space implies three channels. With any other number, later steps would silently misread the pixels.
  if (info.channels !== 3) throw new Error(`The decoded picture has ${info.channels} channels instead of 3.`);
  return { data, width: info.width, height: info.height };
}

function fromPixels({ data, width, height }: Pixels): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}
