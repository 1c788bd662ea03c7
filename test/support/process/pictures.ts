import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';

/** Draws coarse coloured noise. Pictures with different seeds do not look alike. */
export function drawing(seed: string, width = 320, height = 240): Sharp {
  const [columns, rows] = [16, 12];
  const pixels = createHash('shake256', { outputLength: columns * rows * 3 })
    .update(seed)
    .digest();
  return sharp(pixels, { raw: { width: columns, height: rows, channels: 3 } }).resize(width, height, {
    fit: 'fill',
  });
}

/** Draws the picture for a seed as a JPEG. */
export function jpeg(seed: string, width?: number, height?: number): Promise<Buffer> {
  return drawing(seed, width, height).jpeg().toBuffer();
}

/** Returns the JPEG with a comment segment after its first marker: another file with the same pixels. */
export function addComment(picture: Buffer, comment: string): Buffer {
  const head = Buffer.from([0xff, 0xfe, 0, comment.length + 2]);
  return Buffer.concat([picture.subarray(0, 2), head, Buffer.from(comment, 'latin1'), picture.subarray(2)]);
}

/** Returns a truncated JPEG with a valid header and incomplete pixels. */
export async function truncatedJpeg(seed: string): Promise<Buffer> {
  const completeJpeg = await jpeg(seed);
  return completeJpeg.subarray(0, Math.floor(completeJpeg.length / 2));
}

/** Returns the hexadecimal SHA-256. */
export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
