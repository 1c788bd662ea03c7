import type { Sharp } from 'sharp';
import type { PlannedPicture } from './catalog-plan.ts';
import { defineBlur, type Drawing, type ProductKind, type View } from './drawing.ts';
import { makeRandom } from './random.ts';

const jpegQuality = 90;

/** Draws a catalog image and returns it as a JPEG file. */
export async function drawPicture(plannedPicture: PlannedPicture): Promise<Buffer> {
  const { kind, colour, view, shapeSeed, longSide } = plannedPicture;
  const drawing = kind.draw(colour, view, makeRandom(shapeSeed));
  const svg = toStudioSvg(drawing, view, computePictureSize(kind, view, longSide));
  return (await openImage(Buffer.from(svg)))
    .flatten({ background: '#ffffff' })
    .jpeg({ quality: jpegQuality })
    .toBuffer();
}

/** Re-encodes an image at half the width and with stronger compression, like an export for the web. */
export async function reencode(jpeg: Buffer): Promise<Buffer> {
  const image = await openImage(jpeg);
  const { width } = await image.metadata();
  return image
    .resize({ width: Math.round(width / 2) })
    .jpeg({ quality: 70 })
    .toBuffer();
}

/** Opens an image. Loads the image library on demand, so that other commands start faster. */
async function openImage(bytes: Buffer): Promise<Sharp> {
  const { default: sharp } = await import('sharp');
  return sharp(bytes);
}

/** The size of an image, in pixels. */
interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/** Returns the image size for a kind of product. `longSide` is the length of the longer side. */
function computePictureSize(kind: ProductKind, view: View, longSide: number): PictureSize {
  const aspect = view === 'detail' ? 1 : kind.aspect;
  return {
    width: Math.round(longSide * Math.min(1, aspect)),
    height: Math.round(longSide / Math.max(1, aspect)),
  };
}

const wholeCanvas = { x: 0, y: 0, size: 1000 };

/** Returns the SVG of a product in a photo studio, with a near-white background, soft light and soft shadows. */
function toStudioSvg(drawing: Drawing, view: View, { width, height }: PictureSize): string {
  const area = view === 'detail' ? drawing.detail : wholeCanvas;
  // The canvas is square. A wide image omits the empty top and bottom of the canvas, and a tall image omits the
  // empty sides.
  const [cropWidth, cropHeight] = [
    Math.min(1, width / height) * area.size,
    Math.min(1, height / width) * area.size,
  ];
  const [x, y] = [area.x + (area.size - cropWidth) / 2, area.y + (area.size - cropHeight) / 2];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="${x} ${y} ${cropWidth} ${cropHeight}">` +
    `${background}${drawing.floorContact ? withFloorShadow(drawing.body, drawing.floorContact) : withDropShadow(drawing.body)}</svg>`
  );
}

const background =
  '<defs><radialGradient id="studio" cx="0.45" cy="0.4" r="0.8"><stop offset="0" stop-color="#ffffff"/>' +
  '<stop offset="0.6" stop-color="#f7f7f8"/><stop offset="1" stop-color="#e6e7ea"/></radialGradient></defs>' +
  '<rect width="1000" height="1000" fill="url(#studio)"/>';

/** Adds a narrow dark shadow where the product touches the floor, and a wide faint shadow away from the light. */
function withFloorShadow(body: string, { x, y, radius }: NonNullable<Drawing['floorContact']>): string {
  const drawEllipse = (
    dx: number,
    dy: number,
    scale: number,
    height: number,
    opacity: number,
    filter: string,
  ) =>
    `<ellipse cx="${x + dx}" cy="${y + dy}" rx="${radius * scale}" ry="${height}" fill="#16161c" opacity="${opacity}" filter="url(#${filter})"/>`;
  return (
    defineBlur('floor-wide', 30, { from: y - 120, to: y + 140 }) +
    defineBlur('floor-near', 9, { from: y - 50, to: y + 60 }) +
    drawEllipse(40, 10, 1.15, 38, 0.2, 'floor-wide') +
    drawEllipse(6, 8, 1, 17, 0.42, 'floor-near') +
    body
  );
}

function withDropShadow(body: string): string {
  return `<defs><filter id="drop" x="-20%" y="-20%" width="140%" height="140%"><feDropShadow dx="12" dy="16" stdDeviation="15" flood-color="#16161c" flood-opacity="0.3"/></filter></defs><g filter="url(#drop)">${body}</g>`;
}
