import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Raster } from '../../../src/imaging/decoding/pixels.ts';
import { encode } from '../../../src/imaging/renditions/encode.ts';
import { makePreset, type RenditionFormat, renditionFormats } from '../../../src/model/preset.ts';
import { gradient } from '../fixtures/pictures.ts';

const { quality } = makePreset({ name: 'default', width: 1, height: 1 });

/** A soft gradient, as in the background of a product photograph. */
function drawSoftGradient(from: readonly number[], to: readonly number[]): Raster {
  const [width, height] = [800, 200];
  const data = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let n = 0; n < 3; n++)
        data[(y * width + x) * 3 + n] = Math.round(from[n]! + ((to[n]! - from[n]!) * x) / (width - 1));
    }
  }
  return { width, height, channels: 3, data };
}

/** Returns the mean green of each block of 8 × 8 pixels of a soft gradient. */
function meansOfBlocks(pixels: Uint8Array): number[] {
  return Array.from({ length: 100 * 25 }, (_, n) => {
    const [left, top] = [(n % 100) * 8, Math.floor(n / 100) * 8];
    let sum = 0;
    for (let y = top; y < top + 8; y++)
      for (let x = left; x < left + 8; x++) sum += pixels[(y * 800 + x) * 3 + 1]!;
    return sum / 64;
  });
}

async function encodeAndDecode(raster: Raster, format: RenditionFormat): Promise<Buffer> {
  const file = await encode(raster, format, quality[format]);
  const image = raster.channels === 4 ? sharp(file).ensureAlpha() : sharp(file).removeAlpha();
  return image.toColourspace('srgb').raw({ depth: 'uchar' }).toBuffer();
}

describe.each(renditionFormats)('%s', (format) => {
  test.each([
    ['light', [205, 210, 220], [250, 252, 255]],
    ['dark', [10, 12, 20], [60, 64, 70]],
  ])('shows a %s gradient without bands', async (_, from, to) => {
    const raster = drawSoftGradient(from, to);
    const decoded = await encodeAndDecode(raster, format);
    const largestDeviation = decoded.reduce(
      (max, value, index) => Math.max(max, Math.abs(value - raster.data[index]!)),
      0,
    );
    expect(largestDeviation).toBeLessThanOrEqual(6);
    // A band is an area that is too light or too dark next to one that is not. Single pixels do not show.
    const [original, encoded] = [meansOfBlocks(raster.data), meansOfBlocks(decoded)];
    const errors = encoded.map((mean, n) => mean - original[n]!);
    expect(Math.max(...errors.map(Math.abs))).toBeLessThanOrEqual(2);
  });

  test('yields the same bytes for the same pixels', async () => {
    const raster: Raster = { width: 120, height: 80, channels: 3, data: gradient(120, 80) };
    const [first, second] = [
      await encode(raster, format, quality[format]),
      await encode(raster, format, quality[format]),
    ];
    expect(first).toEqual(second);
  });

  test('declares no profile, so that the colours are sRGB', async () => {
    const raster: Raster = { width: 120, height: 80, channels: 3, data: gradient(120, 80) };
    const metadata = await sharp(await encode(raster, format, 90)).metadata();
    expect(metadata).toMatchObject({ width: 120, height: 80, space: 'srgb', depth: 'uchar' });
    expect(metadata.icc).toBeUndefined();
  });
});

test.each(['png', 'webp', 'avif'] as const)('%s keeps alpha, and colours at clear edges', async (format) => {
  // A white disc on clear pixels. Dark or coloured edges would show on every page that is not white.
  const side = 80;
  const data = Buffer.alloc(side * side * 4);
  const alphaAt = (x: number, y: number) =>
    Math.round(255 * Math.max(0, Math.min(1, 30.5 - Math.hypot(x - 40, y - 40))));
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++)
      if (alphaAt(x, y) > 0) data.set([255, 255, 255, alphaAt(x, y)], (y * side + x) * 4);
  }
  const decoded = await encodeAndDecode({ width: side, height: side, channels: 4, data }, format);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      const offset = (y * side + x) * 4;
      expect(Math.abs(decoded[offset + 3]! - alphaAt(x, y))).toBeLessThanOrEqual(32);
      if (alphaAt(x, y) > 60) expect(Math.min(...decoded.subarray(offset, offset + 3))).toBeGreaterThan(240);
    }
  }
});
