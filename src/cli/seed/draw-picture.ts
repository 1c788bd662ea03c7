import type { Sharp } from 'sharp';
import type { PlannedPicture } from './catalog-plan.ts';
import { makeRandom } from './random.ts';
import { pictureSize, studioPicture } from './studio.ts';

const jpegQuality = 90;

/** Draws one picture of the catalog and answers the bytes of its JPEG file. */
export async function drawPicture(planned: PlannedPicture): Promise<Buffer> {
  const { kind, colour, view, formSeed, longSide } = planned;
  const drawing = kind.draw(colour, view, makeRandom(formSeed));
  const svg = studioPicture(drawing, view, pictureSize(kind, view, longSide));
  return (await openImage(Buffer.from(svg)))
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: jpegQuality })
    .toBuffer();
}

/** The same picture as another export would have it: half as large, compressed more strongly. */
export async function reencode(jpeg: Buffer): Promise<Buffer> {
  const image = await openImage(jpeg);
  const { width } = await image.metadata();
  return image
    .resize({ width: Math.round(width / 2) })
    .jpeg({ quality: 70 })
    .toBuffer();
}

/** The image library is loaded when it is needed, so that other commands start without it. */
async function openImage(bytes: Buffer): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  return sharp(bytes);
}
