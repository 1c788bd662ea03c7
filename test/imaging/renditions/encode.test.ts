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
    const greenOf = (pixels: Buffer) =>
      Array.from({ length: raster.width }, (_value, x) => pixels[(100 * raster.width + x) * 3 + 1]!);
    const [original, encoded] = [greenOf(raster.data), greenOf(decoded)];
    const steps = encoded.slice(1).map((value, x) => Math.abs(value - encoded[x]!));
    // A step of 2 of 256 levels is as large as in a JPEG of the default quality, and is not visible.
    expect(Math.max(...steps)).toBeLessThanOrEqual(2);
    expect(new Set(encoded).size).toBeGreaterThanOrEqual(new Set(original).size * 0.8);
    const deviations = encoded.map((value, x) => Math.abs(value - original[x]!));
    expect(Math.max(...deviations)).toBeLessThanOrEqual(4);
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
