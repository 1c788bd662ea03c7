import { describe, expect, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import {
  decodeCells,
  encodedCells,
  expectColours,
  greyCells,
  rgbCells,
  toSamples,
  toSrgbCells,
  size,
} from '../support/cells.ts';
import { writeAvif } from '../support/write-avif.ts';
import { type ColourSpace, decodeSrgb, gamma, greySpace, prophoto, rgbSpace } from '../support/write-icc.ts';
import { iccChunk, uint32, writePng } from '../support/write-png.ts';

describe('for PNG', () => {
  const cicp = (...codes: number[]): [string, Uint8Array] => ['cICP', Buffer.of(...codes)];
  const gama = (exponent: number): [string, Uint8Array] => ['gAMA', uint32(Math.round(exponent * 100_000))];
  const chrm = (...values: number[]): [string, Uint8Array] => [
    'cHRM',
    uint32(...values.map((value) => Math.round(value * 100_000))),
  ];
  const adobePrimaries = chrm(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06);
  const srgbPrimaries = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06);
  const srgbChunk: [string, Uint8Array] = ['sRGB', Buffer.of(0)];
  const p3 = rgbSpace('p3', decodeSrgb);
  const profile = (space: ColourSpace): [string, Uint8Array] => ['iCCP', iccChunk(space.profile)];
  const srgbSpace = undefined;

  test.each<[string, [string, Uint8Array][], ColourSpace | undefined]>([
    ['gamma 1', [gama(1)], rgbSpace('srgb', gamma(1))],
    ['gamma 1/1.8', [gama(1 / 1.8)], rgbSpace('srgb', gamma(1.8))],
    ['gamma 1/2.2 as sRGB', [gama(0.45455)], srgbSpace],
    ['gamma 1/2.2 and sRGB primaries as sRGB', [gama(0.45455), srgbPrimaries], srgbSpace],
    ['an sRGB chunk, ignoring gamma', [srgbChunk, gama(1)], srgbSpace],
    ['Adobe RGB gamma and primaries', [gama(256 / 563), adobePrimaries], rgbSpace('adobe', gamma(563 / 256))],
    ['Adobe RGB primaries but no gamma', [adobePrimaries], rgbSpace('adobe', decodeSrgb)],
    [
      'degenerate primaries as sRGB',
      [gama(0.45455), chrm(0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)],
      srgbSpace,
    ],
    ['an implausible gamma as sRGB', [gama(0.001)], srgbSpace],
    ['a Display P3 cICP chunk', [cicp(12, 13, 0, 1)], p3],
    ['an sRGB cICP chunk', [cicp(1, 13, 0, 1)], srgbSpace],
    ['a linear sRGB cICP chunk', [cicp(1, 8, 0, 1)], rgbSpace('srgb', gamma(1))],
    ['an sRGB cICP chunk, ignoring the profile', [cicp(1, 13, 0, 1), profile(p3)], srgbSpace],
    [
      'a Display P3 cICP chunk, ignoring the profile',
      [cicp(12, 13, 0, 1), profile(rgbSpace('prophoto', prophoto))],
      p3,
    ],
    [
      'gamma, ignoring a cICP chunk with a forbidden matrix',
      [cicp(12, 13, 6, 1), gama(1)],
      rgbSpace('srgb', gamma(1)),
    ],
    ['a profile, ignoring gamma', [profile(p3), gama(1)], p3],
    [
      'gamma, ignoring an invalid profile',
      [['iCCP', iccChunk(Buffer.alloc(300))], gama(1)],
      rgbSpace('srgb', gamma(1)),
    ],
  ])('decodes colours with %s', async (_, chunks, space) => {
    for (const depth of [8, 16] as const) {
      const file = writePng({ ...size, depth, colorType: 2, samples: toSamples(rgbCells, depth), chunks });
      expectColours(await decodeCells(file), toSrgbCells(space, rgbCells));
    }
  });

  test('applies gamma to grey with alpha, and to a palette', async () => {
    for (const depth of [8, 16] as const) {
      const samples = toSamples(greyCells, depth, [128]);
      const file = writePng({ ...size, depth, colorType: 4, samples, chunks: [gama(1)] });
      expectColours(await decodeCells(file), toSrgbCells(greySpace('linear', gamma(1)), greyCells, 128));
    }
    const indices = rgbCells.map((_, n) => [n]);
    const palette: [string, Uint8Array] = ['PLTE', Buffer.from(rgbCells.flat())];
    const chunks = [gama(1), palette];
    const file = writePng({ ...size, depth: 8, colorType: 3, samples: toSamples(indices, 8), chunks });
    expectColours(await decodeCells(file), toSrgbCells(rgbSpace('srgb', gamma(1)), rgbCells));
  });

  test('expands narrow-range samples to the full range', async () => {
    for (const depth of [8, 16] as const) {
      const unit = depth === 16 ? 256 / 257 : 1;
      const narrowCells = rgbCells.map((colour) =>
        colour.map((value) => Math.round((16 + (value * 219) / 255) * unit)),
      );
      const chunks = [cicp(1, 13, 0, 0)];
      const file = writePng({ ...size, depth, colorType: 2, samples: toSamples(narrowCells, depth), chunks });
      expectColours(await decodeCells(file), rgbCells);
    }
  });

  test.each([
    ['PQ', 16],
    ['HLG', 18],
  ])('rejects %s with an error message that contains its name', async (name, transfer) => {
    const chunks = [cicp(9, transfer, 0, 1)];
    const file = writePng({ ...size, depth: 16, colorType: 2, samples: toSamples(rgbCells, 16), chunks });
    await expect(probe(file, limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: expect.stringContaining(name),
    });
  });
});

describe('for AVIF', () => {
  const rgb = Uint8Array.from(toSamples(rgbCells, 8));
  const p3 = rgbSpace('p3', decodeSrgb);

  test.each<[string, Partial<Parameters<typeof writeAvif>[0]>, ColourSpace | undefined]>([
    ['sRGB', { nclx: [1, 13, 0] }, undefined],
    ['BT.709 as sRGB', { nclx: [1, 1, 0] }, undefined],
    ['unspecified colours as sRGB', { nclx: [2, 2, 0] }, undefined],
    ['Display P3', { nclx: [12, 13, 0] }, p3],
    ['Display P3 and 10 bits', { nclx: [12, 13, 0], bitdepth: 10 }, p3],
    ['a profile, ignoring code points', { nclx: [9, 13, 0], profile: p3.profile }, p3],
    ['a profile and 10 bits', { nclx: [2, 2, 0], profile: p3.profile, bitdepth: 10 }, p3],
    ['linear light', { nclx: [1, 8, 0] }, rgbSpace('srgb', gamma(1))],
  ])('decodes colours with %s', async (_, input, space) => {
    const file = await writeAvif({ ...size, rgb, ...input });
    expectColours(await decodeCells(file), toSrgbCells(space, await encodedCells(file)));
  });

  test('rejects PQ', async () => {
    const file = await writeAvif({ ...size, rgb, nclx: [9, 16, 0] });
    await expect(probe(file, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
  });

  test.each([
    ['sRGB', [1, 13, 0] as const, undefined],
    ['Display P3', [12, 13, 0] as const, p3],
  ])('decodes premultiplied colours in %s', async (_, nclx, space) => {
    const alpha = new Uint8Array(size.width * size.height).fill(128);
    const premultipliedRgb = rgb.map((value) => Math.round((value * 128) / 255));
    const file = await writeAvif({ ...size, rgb: premultipliedRgb, alpha, isPremultiplied: true, nclx });
    expect(await probe(file, limits)).toMatchObject({ hasAlpha: true });
    // Dividing by alpha doubles the encoder's error.
    expectColours(await decodeCells(file), toSrgbCells(space, rgbCells, 128), 6);
    const straightFile = await writeAvif({ ...size, rgb, alpha, nclx });
    expectColours(await decodeCells(straightFile), toSrgbCells(space, rgbCells, 128), 6);
  });
});
