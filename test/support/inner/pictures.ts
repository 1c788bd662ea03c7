import { createHash } from 'node:crypto';
import sharp from 'sharp';

let count = 0;

/** JPEG bytes that no other call gives. `mark` is what `marked-child` looks for behind the picture. */
export async function freshPicture(mark?: 'crash' | 'slow'): Promise<Buffer> {
  const [r = 0, g = 0, b = 0] = createHash('sha256')
    .update(`${process.pid} ${++count} ${Math.random()}`)
    .digest();
  const jpeg = await sharp({ create: { width: 160, height: 120, channels: 3, background: { r, g, b } } })
    .jpeg()
    .toBuffer();
  return Buffer.concat([jpeg, Buffer.from(`${count} ${Math.random()} ${mark ? `MARK:${mark}` : ''}`)]);
}

/** A JPEG whose header reads well and whose pixels do not. */
export async function brokenPicture(): Promise<Buffer> {
  const noise = Buffer.from(Array.from({ length: 200 * 200 * 3 }, () => Math.floor(Math.random() * 256)));
  const jpeg = await sharp(noise, { raw: { width: 200, height: 200, channels: 3 } })
    .jpeg()
    .toBuffer();
  return jpeg.subarray(0, Math.floor(jpeg.length / 2));
}
