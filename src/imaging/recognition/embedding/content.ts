import { type LabPixels, labOf } from '../../colour/luma-and-lab.ts';
import type { Pixels } from '../../decoding/pixels.ts';
import { fitInside, type Frame, type Size } from '../../geometry.ts';
import { areaMean, wholeAreaMean } from '../area-mean.ts';

/** Width and height of the pixels from which an embedding is computed. */
export const contentSide = 128;

/** Minimum weight in the mask for a pixel to count. */
export const minWeight = 0.05;

/** Weight of each pixel: 0 for background, 1 for content, a value in between for soft edges. */
export type Mask = Float32Array;

/** Input of an embedding: a picture's content, scaled to 128 × 128 pixels without keeping its proportions. */
export interface Content {
  readonly lab: LabPixels;
  readonly mask: Mask;
  /** Whether nothing differs from the background: the picture has one colour, and all of it counts as content. */
  readonly isPlain: boolean;
  /** Width ÷ height of the content before scaling. */
  readonly aspect: number;
}

/** The content is located in a picture of this size, in which dust has disappeared. */
const searchBox = { width: 100, height: 100 };

/** Finds the content of a picture: the part that differs from the colour of its border. */
export function contentOf(pixels: Pixels): Content {
  const small = wholeAreaMean(pixels, fitInside(pixels, searchBox));
  const lab = labOf(small.data);
  const background = borderColourOf(lab, small);
  const frame = scaleFrame(contentFrame(maskOf(lab, background), small), small, pixels);
  const content = areaMean(pixels, frame, { width: contentSide, height: contentSide });
  const contentLab = labOf(content.data);
  const aspect = frame.width / frame.height;
  const mask = maskOf(contentLab, background);
  // A swatch is all background. Without its colour, only its proportions would be described.
  const isPlain = mask.every((weight) => weight < minWeight);
  return { lab: contentLab, mask: isPlain ? mask.fill(1) : mask, isPlain, aspect };
}

/** Converts a frame to the coordinates of the same picture at another size. */
function scaleFrame(frame: Frame, from: Size, to: Size): Frame {
  const left = Math.floor((frame.left * to.width) / from.width);
  const top = Math.floor((frame.top * to.height) / from.height);
  const right = Math.ceil(((frame.left + frame.width) * to.width) / from.width);
  const bottom = Math.ceil(((frame.top + frame.height) * to.height) / from.height);
  return {
    left,
    top,
    width: Math.min(right, to.width) - left,
    height: Math.min(bottom, to.height) - top,
  };
}

/** Colour difference (ΔE) from the background up to which a pixel is background, and from which it is content. */
const maxBackgroundDifference = 4;
const minContentDifference = 16;
/** Minimum fraction of content in a row or column; less is dust or compression noise. */
const minContent = 0.01;
const minFrameSide = 4;

/** Returns the background colour: the median of a border 1/50 of the shorter side wide. */
function borderColourOf(lab: LabPixels, { width, height }: Size): readonly number[] {
  const depth = Math.max(1, Math.round(Math.min(width, height) / 50));
  const border: number[] = [];
  for (let y = 0; y < height; y++) {
    const isEdge = y < depth || y >= height - depth;
    for (let x = 0; x < width; x++) {
      if (isEdge || x < depth || x >= width - depth) border.push((y * width + x) * 3);
    }
  }
  return [0, 1, 2].map((channel) => medianOf(border.map((at) => lab[at + channel] ?? 0)));
}

function medianOf(values: readonly number[]): number {
  return Float32Array.from(values).sort()[values.length >> 1] ?? 0;
}

/** Separates content from a background of one colour. */
function maskOf(lab: LabPixels, background: readonly number[]): Mask {
  const [lightness = 0, a = 0, b = 0] = background;
  const mask = new Float32Array(lab.length / 3);
  for (let pixel = 0, at = 0; pixel < mask.length; pixel++, at += 3) {
    const dl = (lab[at] ?? 0) - lightness;
    const da = (lab[at + 1] ?? 0) - a;
    const db = (lab[at + 2] ?? 0) - b;
    const difference = Math.sqrt(dl * dl + da * da + db * db);
    const share = (difference - maxBackgroundDifference) / (minContentDifference - maxBackgroundDifference);
    mask[pixel] = share <= 0 ? 0 : share >= 1 ? 1 : share;
  }
  return mask;
}

/** Returns the smallest frame around all content; the whole picture if there is hardly any. */
function contentFrame(mask: Mask, { width, height }: Size): Frame {
  const columns = new Float64Array(width);
  const rows = new Float64Array(height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const share = mask[y * width + x] ?? 0;
      columns[x] = (columns[x] ?? 0) + share;
      rows[y] = (rows[y] ?? 0) + share;
    }
  }
  const [left, right] = extentOf(columns, height * minContent);
  const [top, bottom] = extentOf(rows, width * minContent);
  const frame = { left, top, width: right - left, height: bottom - top };
  const isTiny = frame.width < minFrameSide || frame.height < minFrameSide;
  return isTiny ? { left: 0, top: 0, width, height } : frame;
}

function extentOf(sums: Float64Array, minSum: number): readonly [number, number] {
  const first = sums.findIndex((sum) => sum >= minSum);
  return first < 0 ? [0, 0] : [first, sums.findLastIndex((sum) => sum >= minSum) + 1];
}
