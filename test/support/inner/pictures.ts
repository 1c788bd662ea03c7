import { createHash } from 'node:crypto';
import sharp from 'sharp';

let createdCount = 0;

/** @see marked-child.ts */
type PictureMark = 'crash' | 'slow' | 'endless' | 'late-crash' | 'late-pause';

/**
 * Returns a JPEG that is different for every call. `mark` makes the decoder child in `marked-child.ts` crash or wait.
 */
export async function makeUniquePicture(mark?: PictureMark): Promise<Buffer> {
  const [r = 0, g = 0, b = 0] = createHash('sha256')
    .update(`${process.pid} ${++createdCount} ${Math.random()}`)
    .digest();
  const jpeg = await sharp({ create: { width: 160, height: 120, channels: 3, background: { r, g, b } } })
    .jpeg()
    .toBuffer();
  return Buffer.concat([jpeg, Buffer.from(`${createdCount} ${Math.random()} ${mark ? `MARK:${mark}` : ''}`)]);
}

/** Returns a truncated JPEG with a valid header and incomplete pixels. */
export async function makeTruncatedPicture(): Promise<Buffer> {
  const noise = Buffer.from(Array.from({ length: 200 * 200 * 3 }, () => Math.floor(Math.random() * 256)));
  const jpeg = await sharp(noise, { raw: { width: 200, height: 200, channels: 3 } })
    .jpeg()
    .toBuffer();
  return jpeg.subarray(0, Math.floor(jpeg.length / 2));
}

/** Appearance of a drawn product, and the width and quality of its file. */
export interface ProductStyle {
  /** Colour of the body, in CSS syntax. */
  readonly body?: string;
  readonly shape?: 'vase' | 'mug';
  readonly width?: number;
  readonly quality?: number;
}

const shapes = {
  vase: `<path d="M190 60h120v60q90 90 60 250q-20 120 -120 170q-100 -50 -120 -170q-30 -160 60 -250z"/>
    <path d="M150 330h200v24h-200zM175 430l140 20v14l-140 -20z" fill="#222"/>
    <circle cx="220" cy="250" r="26" fill="#fff"/>`,
  mug: `<path d="M90 210h250v330h-250z"/><path d="M340 270h90v190h-90v-40h50v-110h-50z"/>
    <path d="M110 240h90v60h-90zM210 380h110v90h-110z" fill="#222"/>`,
};

/**
 * Draws a product on a white background as a JPEG, with enough structure for a perceptual hash. The same style always
 * produces the same bytes.
 */
export async function drawProduct(style: ProductStyle = {}): Promise<Buffer> {
  const { body = '#3a8f6d', shape = 'vase', width = 500, quality = 90 } = style;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="500" height="600">
    <rect width="500" height="600" fill="#fff"/><g fill="${body}">${shapes[shape]}</g></svg>`;
  return sharp(Buffer.from(svg)).resize(width).flatten({ background: '#fff' }).jpeg({ quality }).toBuffer();
}
