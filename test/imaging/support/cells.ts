import sharp from 'sharp';
import { expect } from 'vitest';
import { decodePicture } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { type ColourSpace, toSrgb } from './write-icc.ts';

// A test picture that consists of twelve cells, each in a single colour. Tests compare the decoded colours with
// computed colours.

const cellSide = 12;
const columns = 4;
const rows = 3;
/** The size of the picture, in pixels. */
export const size = { width: columns * cellSide, height: rows * cellSide };

/** The encoded colours of the cells, from 0 to 255. */
export const rgbCells: readonly (readonly number[])[] = [
  [255, 0, 0],
  [0, 255, 0],
  [0, 0, 255],
  [255, 255, 255],
  [0, 0, 0],
  [128, 128, 128],
  [200, 120, 60],
  [60, 120, 200],
  [40, 90, 40],
  [12, 20, 30],
  [240, 200, 210],
  [90, 30, 80],
];
/** The encoded grey values of the cells, from 0 to 255. */
export const greyCells = [255, 0, 128, 200, 60, 40, 90, 12, 20, 240, 30, 170].map((value) => [value]);

/** Returns the samples of the whole picture, pixel by pixel. Each pixel ends with `extraSamples`. */
export function toSamples(
  cells: readonly (readonly number[])[],
  depth: number,
  extraSamples: readonly number[] = [],
): number[] {
  const unit = depth === 16 ? 257 : 1;
  return Array.from({ length: size.width * size.height }, (_, n) => {
    const x = Math.floor((n % size.width) / cellSide);
    const y = Math.floor(n / size.width / cellSide);
    return [...(cells[y * columns + x] ?? []), ...extraSamples].map((value) => value * unit);
  }).flat();
}

/**
 * Returns the decoded colour in the middle of each cell. If `isHalfSize` is set, decodes the picture at half its size.
 */
export async function decodeCells(bytes: Uint8Array, isHalfSize = false): Promise<number[][]> {
  const facts = await probe(bytes, limits);
  const scale = isHalfSize ? 2 : 1;
  const decodedSize = { width: size.width / scale, height: size.height / scale };
  const { data, width } = await decodePicture(bytes, facts, decodedSize);
  return rgbCells.map((_, n) => {
    const offset = findMiddlePixel(n, scale, width) * 3;
    return [...data.subarray(offset, offset + 3)];
  });
}

/** Expects every channel of every cell to differ from its expected value by at most the tolerance. */
export function expectColours(
  actual: readonly number[][],
  expected: readonly (readonly number[])[],
  tolerance = 3,
): void {
  const deviations = actual.flatMap((colour, n) => {
    const deviation = Math.max(...colour.map((value, k) => Math.abs(value - (expected[n]?.[k] ?? 0))));
    return deviation > tolerance ? [`cell ${n}: ${colour.join()} instead of ${expected[n]?.join()}`] : [];
  });
  expect(deviations).toEqual([]);
}

/** Converts cell colours from a colour space to sRGB, on a white background if alpha is below 255. */
export function toSrgbCells(
  space: ColourSpace | undefined,
  cells: readonly (readonly number[])[],
  alpha = 255,
): number[][] {
  return cells.map((channels) => {
    const opaqueColour =
      space === undefined
        ? [0, 1, 2].map((n) => channels[n] ?? channels[0] ?? 0)
        : toSrgb(space.toXyz(channels.map((value) => value / 255)));
    return opaqueColour.map((value) => Math.round(255 + ((value - 255) * alpha) / 255));
  });
}

/** Returns the index of the pixel in the middle of a cell. */
export function findMiddlePixel(n: number, scale = 1, width: number = size.width): number {
  const x = ((n % columns) * cellSide + cellSide / 2) / scale;
  const y = (Math.floor(n / columns) * cellSide + cellSide / 2) / scale;
  return y * width + x;
}

/** Returns the encoded colour of each cell. Ignores the profile, so that tests cover only the conversion. */
export async function encodedCells(bytes: Uint8Array): Promise<number[][]> {
  const { data, info } = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
  return rgbCells.map((_, n) => {
    const offset = findMiddlePixel(n) * info.channels;
    return [...data.subarray(offset, offset + 3)];
  });
}
