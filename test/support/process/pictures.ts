import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';

/** Another seed gives another picture: coarse coloured noise, so that no two look alike. */
export function drawing(seed: string, width = 320, height = 240): Sharp {
  const [columns, rows] = [16, 12];
  const pixels = createHash('shake256', { outputLength: columns * rows * 3 })
    .update(seed)
    .digest();
  return sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } }).resize(width, height, {
    fit: 'fill',
  });
}

/** A JPEG file. */
export function jpeg(seed: string, width?: number, height?: number): Promise<Buffer> {
  return drawing(seed, width, height).jpeg().toBuffer();
}

/** A JPEG file cut in the middle: its header is fine, its pixels are not. */
export async function brokenJpeg(seed: string): Promise<Buffer> {
  const whole = await jpeg(seed);
  return whole.subarray(0, Math.floor(whole.length / 2));
}

/** SHA-256, hexadecimal. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
