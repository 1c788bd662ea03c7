import type { Frame, Size } from '../../geometry.ts';
import type { LabPixels } from '../../colour/luma-and-lab.ts';

/** For each pixel, how much it belongs to what is shown: 0 background, 1 content, smooth in between. */
export type Mask = Float32Array;

/** ΔE to the background up to which a pixel is background, and from which it is content. */
const surelyBackground = 4;
const surelyContent = 16;
/** Share of a row or column that has to be content; less is dust, or noise of the compression. */
const minContent = 0.01;
const smallestFrame = 4;

/** The background: the median colour of the picture's border, a fiftieth of the shorter side wide. */
export function borderColourOf(lab: LabPixels, { width, height }: Size): readonly number[] {
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

/** Tells content from a background of one colour. */
export function maskOf(lab: LabPixels, background: readonly number[]): Mask {
  const [lightness = 0, a = 0, b = 0] = background;
  const mask = new Float32Array(lab.length / 3);
  for (let pixel = 0, at = 0; pixel < mask.length; pixel++, at += 3) {
    const dl = (lab[at] ?? 0) - lightness;
    const da = (lab[at + 1] ?? 0) - a;
    const db = (lab[at + 2] ?? 0) - b;
    const difference = Math.sqrt(dl * dl + da * da + db * db);
    const share = (difference - surelyBackground) / (surelyContent - surelyBackground);
    mask[pixel] = share <= 0 ? 0 : share >= 1 ? 1 : share;
  }
  return mask;
}

/** The smallest frame around all content; the whole picture when there is hardly any. */
export function contentFrame(mask: Mask, { width, height }: Size): Frame {
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
  const isTiny = frame.width < smallestFrame || frame.height < smallestFrame;
  return isTiny ? { left: 0, top: 0, width, height } : frame;
}

function extentOf(sums: Float64Array, least: number): readonly [number, number] {
  const first = sums.findIndex((sum) => sum >= least);
  return first < 0 ? [0, 0] : [first, sums.findLastIndex((sum) => sum >= least) + 1];
}
