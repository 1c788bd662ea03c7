import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { comparePictures } from '../../../src/imaging/quality/compare-pictures.ts';
import { computePsnr, computeSsim } from '../../../src/imaging/quality/metrics.ts';
import { tryPresets } from '../../../src/imaging/quality/try-presets.ts';
import { makePreset } from '../../../src/model/preset.ts';
import type { FormatTrial, PresetTrial } from '../../../src/model/quality.ts';
import { limits, presets } from '../fixtures/pictures.ts';
import { drawProduct } from '../fixtures/products.ts';

/** The constants of the SSIM definition for 8-bit values, (0.01 · 255)² and (0.03 · 255)². */
const c1 = 6.5025;
const c2 = 58.5225;

/** Returns the luma of a pseudo-random picture. */
function noise(width: number, height: number, seed: number): Float32Array {
  return Float32Array.from({ length: width * height }, (_, i) => ((i + 1) * seed * 7919) % 251);
}

/** Computes SSIM from its definition, one two-dimensional window at a time. The sides must be at least 11 pixels. */
function referenceSsim(a: Float32Array, b: Float32Array, width: number, height: number): number {
  const offsets = Array.from({ length: 121 }, (_, i) => [(i % 11) - 5, Math.floor(i / 11) - 5] as const);
  const unscaledWeights = offsets.map(([x, y]) => Math.exp(-(x * x + y * y) / (2 * 1.5 * 1.5)));
  const weights = unscaledWeights.map(
    (weight) => weight / unscaledWeights.reduce((sum, value) => sum + value, 0),
  );
  let total = 0;
  let count = 0;
  for (let y = 5; y < height - 5; y++) {
    for (let x = 5; x < width - 5; x++, count++) {
      const pixelIndices = offsets.map(([dx, dy]) => (y + dy) * width + x + dx);
      const mean = (valueAt: (pixelIndex: number) => number) =>
        pixelIndices.reduce((sum, pixelIndex, i) => sum + weights[i]! * valueAt(pixelIndex), 0);
      const [meanA, meanB] = [mean((pixelIndex) => a[pixelIndex]!), mean((pixelIndex) => b[pixelIndex]!)];
      const varianceA = mean((pixelIndex) => (a[pixelIndex]! - meanA) ** 2);
      const varianceB = mean((pixelIndex) => (b[pixelIndex]! - meanB) ** 2);
      const covariance = mean((pixelIndex) => (a[pixelIndex]! - meanA) * (b[pixelIndex]! - meanB));
      total +=
        ((2 * meanA * meanB + c1) * (2 * covariance + c2)) /
        ((meanA ** 2 + meanB ** 2 + c1) * (varianceA + varianceB + c2));
    }
  }
  return total / count;
}

describe('SSIM', () => {
  test.each([
    [0, 255],
    [100, 110],
    [255, 255],
  ])('equals the luminance term for plain pictures with values %i and %i', (a, b) => {
    const size = { width: 20, height: 13 };
    const plainPicture = (value: number) => new Float32Array(size.width * size.height).fill(value);
    expect(computeSsim(plainPicture(a), plainPicture(b), size)).toBeCloseTo(
      (2 * a * b + c1) / (a * a + b * b + c1),
      9,
    );
  });

  test.each([
    [11, 11],
    [16, 30],
    [41, 12],
  ])('matches the definition for pictures of %i × %i pixels', (width, height) => {
    const [a, b] = [noise(width, height, 3), noise(width, height, 5)];
    const similarPicture = a.map((value, i) => value * 0.9 + (b[i] ?? 0) * 0.1);
    for (const other of [b, similarPicture]) {
      expect(computeSsim(a, other, { width, height })).toBeCloseTo(referenceSsim(a, other, width, height), 8);
    }
    expect(computeSsim(a, a, { width, height })).toBeCloseTo(1, 12);
  });

  test.each([
    [1, 1],
    [1, 40],
    [40, 10],
    [7, 3],
  ])('uses a smaller window for pictures of %i × %i pixels', (width, height) => {
    const [a, b] = [noise(width, height, 3), noise(width, height, 5)];
    expect(computeSsim(a, a, { width, height })).toBeCloseTo(1, 12);
    const value = computeSsim(a, b, { width, height });
    expect(value).toBeLessThanOrEqual(1);
    expect(value).toBeGreaterThan(-1);
  });
});

test('computes a PSNR of 100 dB for equal pixels, 48.13 dB for a difference of 1, and 0 dB for black against white', () => {
  const grey = new Uint8Array(300).fill(128);
  expect(computePsnr(grey, grey)).toBe(100);
  expect(computePsnr(grey, new Uint8Array(300).fill(129))).toBeCloseTo(48.1308, 4);
  expect(computePsnr(new Uint8Array(300), new Uint8Array(300).fill(255))).toBe(0);
});

describe('comparePictures', () => {
  test('compares a picture with resized copies and with a different product', async () => {
    const shirt = await drawProduct();
    const copy = async (width: number) => sharp(shirt).resize(width).jpeg({ quality: 85 }).toBuffer();
    const { facts, comparisons } = await comparePictures(shirt, limits, [
      { name: 'same', bytes: shirt },
      { name: 'half', bytes: await copy(300) },
      { name: 'thumb', bytes: await copy(80) },
      { name: 'large', bytes: await copy(900) },
      { name: 'other', bytes: await drawProduct({ shape: 'vase', body: [130, 20, 40] }) },
    ]);
    const comparisonsByName = Object.fromEntries(
      comparisons.map(({ name, ...measures }) => [name, measures]),
    );
    expect(facts).toMatchObject({ format: 'png', width: 600, height: 750 });
    expect(comparisonsByName['same']).toEqual({
      psnr: 100,
      ssim: 1,
      hashDistance: 0,
      width: 600,
      height: 750,
    });
    expect(comparisonsByName['half']).toMatchObject({ width: 300, height: 375 });
    expect(comparisonsByName['thumb']).toMatchObject({ width: 80, height: 100 });
    for (const name of ['half', 'thumb', 'large']) {
      expect(comparisonsByName[name]!.psnr).toBeGreaterThan(25);
      expect(comparisonsByName[name]!.ssim).toBeGreaterThan(0.85);
      expect(comparisonsByName[name]!.hashDistance).toBeLessThanOrEqual(4);
    }
    expect(comparisonsByName['other']!.psnr).toBeLessThan(25);
    expect(comparisonsByName['other']!.hashDistance).toBeGreaterThan(10);
  });

  test('accepts any proportions and format for a compared picture, but restricts the format of the source', async () => {
    const widePicture = await sharp(await drawProduct())
      .resize(900, 20, { fit: 'fill' })
      .webp()
      .toBuffer();
    const pngOnlyLimits = { ...limits, allowedFormats: ['png'] as const };
    const { comparisons } = await comparePictures(await drawProduct(), pngOnlyLimits, [
      { name: 'a', bytes: widePicture },
    ]);
    expect(comparisons[0]).toMatchObject({ name: 'a', width: 900, height: 20 });
    expect(Number.isFinite(comparisons[0]!.psnr)).toBe(true);
    await expect(comparePictures(widePicture, pngOnlyLimits, [])).rejects.toMatchObject({
      code: 'format_not_allowed',
    });
  });
});

describe('tryPresets', () => {
  test('reports a higher quality for larger presets', async () => {
    const source = await sharp(await drawProduct())
      .resize(1500)
      .jpeg({ quality: 95 })
      .toBuffer();
    const { results } = await tryPresets(source, limits, presets);
    expect(results.map(({ preset }) => preset)).toEqual(['thumb', 'card', 'zoom']);
    expect(results.map(({ width, height }) => `${width}×${height}`)).toEqual([
      '80×100',
      '320×400',
      '960×1200',
    ]);
    const [thumb, card, zoom] = results.map(({ quality }) => quality) as [number, number, number];
    expect(thumb).toBeLessThan(card);
    expect(card).toBeLessThan(zoom);
    expect(zoom).toBeGreaterThan(0.95);
    expect(zoom).toBeLessThanOrEqual(1);
    expect(results.every(({ bytes }) => bytes > 100)).toBe(true);
  });

  test('reports a quality for each preset if the picture is smaller than all presets', async () => {
    const { results } = await tryPresets(
      await sharp(await drawProduct())
        .resize(7)
        .png()
        .toBuffer(),
      limits,
      presets,
    );
    expect(results).toHaveLength(3);
    expect(results.every(({ width, quality }) => width === 7 && quality > 0 && quality <= 1)).toBe(true);
  });

  test('measures every format of a preset, and lists the figures of the first', async () => {
    const source = await sharp(await drawProduct())
      .resize(1500)
      .jpeg({ quality: 95 })
      .toBuffer();
    const [card] = presets.slice(1, 2);
    const { results } = await tryPresets(source, limits, [
      card!,
      { ...card!, name: 'modern', formats: ['avif', 'webp'] },
    ]);
    const [{ formats, ...all }, modern] = results as [PresetTrial, PresetTrial];
    expect(formats.map(({ format }) => format)).toEqual(['jpeg', 'webp', 'avif']);
    const [jpeg, webp, avif] = formats as [FormatTrial, FormatTrial, FormatTrial];
    expect(all).toMatchObject({ bytes: jpeg.bytes, quality: jpeg.quality });
    expect(webp.bytes).toBeLessThan(jpeg.bytes);
    expect(avif.bytes).toBeLessThan(webp.bytes);
    for (const { quality } of formats) expect(quality).toBeCloseTo(jpeg.quality, 1);
    expect(modern).toMatchObject({ bytes: avif.bytes, formats: [avif, webp] });
  });

  test.each([
    ['padded', { fit: 'pad' }],
    ['cut', { fit: 'cover' }],
    ['trimmed', { fit: 'pad', trim: { tolerance: 10, margin: 5 } }],
    ['transparent', { fit: 'pad', background: 'transparent', formats: ['png', 'webp'] }],
  ] as const)('compares a %s rendition with the same part of the picture', async (_, options) => {
    const source = await sharp(await drawProduct())
      .resize(1500)
      .png()
      .toBuffer();
    const preset = makePreset({ name: 'box', width: 600, height: 600, quality: 95, ...options });
    const { results } = await tryPresets(source, limits, [preset]);
    expect(results[0]).toMatchObject({ width: 600, height: 600 });
    // Any shift or other proportions would yield far less.
    for (const { quality } of results[0]!.formats) expect(quality).toBeGreaterThan(0.95);
  });

  test('returns no results if there are no presets', async () => {
    expect((await tryPresets(await drawProduct(), limits, [])).results).toEqual([]);
  });
});
