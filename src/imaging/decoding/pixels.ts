import type { ResizeOptions, Sharp } from 'sharp';
import type { Size } from '../geometry.ts';
import { sharp } from './native-library.ts';

/** Upright, opaque sRGB pixels: 3 channels of 8 bits, rows from top to bottom, no padding. */
export interface Pixels extends Size {
  readonly channels?: 3;
  readonly data: Buffer;
}

/** Like `Pixels`, but a fourth channel may contain straight (not premultiplied) alpha. */
export interface Raster extends Size {
  readonly channels: 3 | 4;
  readonly data: Buffer;
}

/** Options of `decodeTo`. */
export interface DecodeOptions {
  /** Whether a JPEG may be decoded at less than twice the required width and height. */
  readonly fastShrinkOnLoad?: boolean;
}

/**
 * Decodes a source to exactly `size`: applies the orientation, converts any colour space and bit depth to 8-bit sRGB,
 * and flattens transparency onto white. The library decodes large JPEGs at 1/2, 1/4 or 1/8 scale, but by default never at less
 * than twice the required width and height, so that the resize keeps its full quality.
 */
export async function decodeTo(
  source: Sharp,
  size: Size,
  { fastShrinkOnLoad = false }: DecodeOptions = {},
): Promise<Pixels> {
  return toPixels(
    source
      .autoOrient()
      .flatten({ background: '#ffffff' })
      .resize({ ...exactResizeOptions(size), fastShrinkOnLoad })
      .toColourspace('srgb'),
  );
}

/**
 * Like `decodeTo`, but keeps an alpha channel. The library premultiplies the colours by alpha before it resizes them, so that
 * the colours of transparent pixels do not appear along edges.
 */
export async function decodeWithAlphaTo(source: Sharp, size: Size): Promise<Raster> {
  return toRaster(source.autoOrient().resize(exactResizeOptions(size)).toColourspace('srgb'));
}

/** Returns resize options for exactly `size`. Fast shrink-on-load is disabled because it blurs the picture. */
export function exactResizeOptions(size: Size): ResizeOptions {
  return { width: size.width, height: size.height, fit: 'fill', fastShrinkOnLoad: false };
}

/** Resizes to exactly `size` (Lanczos 3). Returns the same object if the size already matches. */
export async function resizeTo(pixels: Pixels, size: Size): Promise<Pixels> {
  if (hasSize(pixels, size)) return pixels;
  return toPixels(fromRaster(toOpaqueRaster(pixels)).resize({ ...size, fit: 'fill' }));
}

/** Like `resizeTo`, for pixels that may have an alpha channel. */
export async function resizeRaster(raster: Raster, size: Size): Promise<Raster> {
  if (hasSize(raster, size)) return raster;
  return toRaster(fromRaster(raster).resize({ ...size, fit: 'fill' }));
}

/** Starts an image library pipeline with pixels. */
export function fromRaster({ data, width, height, channels }: Raster): Sharp {
  return sharp(data, { raw: { width, height, channels } });
}

/** Runs an image library pipeline whose result is in sRGB, with or without alpha. */
export async function toRaster(image: Sharp): Promise<Raster> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  // The colour space implies this number. With any other number, later steps would silently misread the pixels.
  if (channels !== 3 && channels !== 4)
    throw new Error(`The decoded picture has ${channels} channels instead of 3 or 4.`);
  return { data, width, height, channels };
}

/** Returns the pixels with an explicit number of channels. */
export function toOpaqueRaster({ width, height, data }: Pixels): Raster {
  return { width, height, channels: 3, data };
}

/** Returns pixels that have no alpha channel. @throws {Error} if they have one. */
export function toOpaquePixels({ width, height, channels, data }: Raster): Pixels {
  if (channels !== 3) throw new Error(`The decoded picture has ${channels} channels instead of 3.`);
  return { width, height, data };
}

async function toPixels(image: Sharp): Promise<Pixels> {
  return toOpaquePixels(await toRaster(image));
}

function hasSize(pixels: Size, size: Size): boolean {
  return pixels.width === size.width && pixels.height === size.height;
}
