import { type LabPixels, toLab } from '../../colour/luma-and-lab.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { isAsLargeAs, type Rectangle, type Size } from '../../geometry.ts';
import { halvePicture, scaleArea } from '../area-mean.ts';

/** Width and height, in pixels, of the scaled content from which an embedding is computed. */
export const contentSide = 64;
const contentSize = { width: contentSide, height: contentSide };

/** Minimum mask weight for a pixel to count as content. */
export const minWeight = 0.05;

/** Weight of each pixel: 0 for background, 1 for content, and a value in between for soft edges. */
export type Mask = Float32Array;

/** Input of an embedding: a picture's content, scaled to 64 × 64 pixels without keeping its proportions. */
export interface Content {
  readonly lab: LabPixels;
  readonly mask: Mask;
  /** Whether nothing differs from the background. The picture then has a single colour, and all of it is content. */
  readonly isPlain: boolean;
}

/** The content is located in a copy that fits inside a square of this side. Dust is no longer visible in it. */
const searchSide = 100;

/** Finds the content of a picture: the part that differs from the colour of its border. */
export function extractContent(pixels: Pixels): Content {
  const copies = makeCopies(pixels);
  const smallPixels = copies.at(-1) ?? pixels;
  const lab = toLab(smallPixels.data);
  const background = findBorderColour(lab, smallPixels);
  const area = findContentArea(makeMask(lab, background), smallPixels);
  // The smallest copy in which the content has enough pixels.
  const source =
    copies.findLast((copy) => isAsLargeAs(scaleRectangle(area, smallPixels, copy), contentSize)) ?? pixels;
  const content = scaleArea(source, scaleRectangle(area, smallPixels, source), contentSize);
  const contentLab = toLab(content.data);
  const mask = makeMask(contentLab, background);
  // A colour swatch consists only of background. If its colour were ignored, nothing would be described.
  const isPlain = mask.every((weight) => weight < minWeight);
  return { lab: contentLab, mask: isPlain ? mask.fill(1) : mask, isPlain };
}

/** Returns the picture and ever smaller copies, each half as wide and high as the one before. */
function makeCopies(pixels: Pixels): readonly Pixels[] {
  const copies = [pixels];
  let last = pixels;
  while (Math.max(last.width, last.height) > searchSide && Math.min(last.width, last.height) > 1) {
    last = halvePicture(last);
    copies.push(last);
  }
  return copies;
}

/** Converts a rectangle to the coordinates of the same picture at a different size. */
function scaleRectangle(area: Rectangle, from: Size, to: Size): Rectangle {
  const left = Math.floor((area.left * to.width) / from.width);
  const top = Math.floor((area.top * to.height) / from.height);
  const right = Math.ceil(((area.left + area.width) * to.width) / from.width);
  const bottom = Math.ceil(((area.top + area.height) * to.height) / from.height);
  return {
    left,
    top,
    width: Math.min(right, to.width) - left,
    height: Math.min(bottom, to.height) - top,
  };
}

/**
 * Limits for the difference (ΔE) between a pixel and the background colour. Up to the first limit, the pixel is
 * background; from the second, it is content.
 */
const maxBackgroundDifference = 4;
const minContentDifference = 16;
/** Minimum fraction of content in a row or column. Anything less is dust or compression noise. */
const minContentFraction = 0.01;
const minAreaSide = 4;

/** Returns the background colour: the median colour of the border, whose width is 1/50 of the shorter side. */
function findBorderColour(lab: LabPixels, { width, height }: Size): readonly number[] {
  const borderWidth = Math.max(1, Math.round(Math.min(width, height) / 50));
  const border: number[] = [];
  for (let y = 0; y < height; y++) {
    const isBorderRow = y < borderWidth || y >= height - borderWidth;
    for (let x = 0; x < width; x++) {
      if (isBorderRow || x < borderWidth || x >= width - borderWidth) border.push((y * width + x) * 3);
    }
  }
  return [0, 1, 2].map((channel) => median(border.map((index) => lab[index + channel] ?? 0)));
}

function median(values: readonly number[]): number {
  return Float32Array.from(values).sort()[values.length >> 1] ?? 0;
}

/** Weights each pixel by its difference from the background colour. */
function makeMask(lab: LabPixels, background: readonly number[]): Mask {
  const [lightness = 0, a = 0, b = 0] = background;
  const mask = new Float32Array(lab.length / 3);
  for (let pixel = 0, index = 0; pixel < mask.length; pixel++, index += 3) {
    const dl = (lab[index] ?? 0) - lightness;
    const da = (lab[index + 1] ?? 0) - a;
    const db = (lab[index + 2] ?? 0) - b;
    const difference = Math.sqrt(dl * dl + da * da + db * db);
    const weight = (difference - maxBackgroundDifference) / (minContentDifference - maxBackgroundDifference);
    mask[pixel] = weight <= 0 ? 0 : weight >= 1 ? 1 : weight;
  }
  return mask;
}

/** Returns the smallest rectangle around all content, or the whole picture if there is hardly any content. */
function findContentArea(mask: Mask, { width, height }: Size): Rectangle {
  const columns = new Float64Array(width);
  const rows = new Float64Array(height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const weight = mask[y * width + x] ?? 0;
      columns[x] = (columns[x] ?? 0) + weight;
      rows[y] = (rows[y] ?? 0) + weight;
    }
  }
  const [left, right] = findExtent(columns, height * minContentFraction);
  const [top, bottom] = findExtent(rows, width * minContentFraction);
  const area = { left, top, width: right - left, height: bottom - top };
  const isTiny = area.width < minAreaSide || area.height < minAreaSide;
  return isTiny ? { left: 0, top: 0, width, height } : area;
}

function findExtent(sums: Float64Array, minSum: number): readonly [number, number] {
  const first = sums.findIndex((sum) => sum >= minSum);
  return first < 0 ? [0, 0] : [first, sums.findLastIndex((sum) => sum >= minSum) + 1];
}
