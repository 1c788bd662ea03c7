import type { Sharp } from 'sharp';
import type { Size } from '../geometry.ts';
import { sharp } from './native-library.ts';

/** Upright, opaque pixels in sRGB: 3 channels of 8 bits, rows from top to bottom, no padding. */
export interface Pixels extends Size {
  readonly data: Buffer;
}

/** Runs a chain of the image library and takes its result as raw pixels. */
export async function toPixels(image: Sharp): Promise<Pixels> {
  const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
  // Three channels are promised by the colour space; anything else would shear every later step silently.
  if (info.channels !== 3) throw new Error(`Expected 3 channels, got ${info.channels}.`);
  return { data, width: info.width, height: info.height };
}

/** Raw pixels as the start of another chain. */
export function fromPixels({ data, width, height }: Pixels): Sharp {
  return sharp(data, { raw: { width, height, channels: 3 } });
}
