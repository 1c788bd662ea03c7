import sharp from 'sharp';
import { describe, expect, it, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import {
  coloursOf,
  expectColours,
  greyCells,
  middleOf,
  rgbCells,
  samplesOf,
  shown,
  size,
} from '../support/cells.ts';
import { writeAvif } from '../support/write-avif.ts';
import { type ColourSpace, decodeSrgb, greySpace, rgbSpace, tableSpace } from '../support/write-icc.ts';
import { iccChunk, uint32, writePng } from '../support/write-png.ts';
import { writeTiff } from '../support/write-tiff.ts';

// Expected colours are arithmetic: the curve and the matrix of a space, then those of sRGB, clipped.

const gamma = (exponent: number) => (value: number) => value ** exponent;
const prophoto = (value: number) => (value < 1 / 32 ? value / 16 : value ** 1.8);

const rgbSpaces: readonly (ColourSpace | undefined)[] = [
  undefined,
  rgbSpace('srgb', decodeSrgb),
  rgbSpace('p3', decodeSrgb),
  rgbSpace('adobe', gamma(563 / 256)),
  rgbSpace('prophoto', prophoto),
];
const greySpaces: readonly (ColourSpace | undefined)[] = [
  undefined,
  greySpace('linear grey', gamma(1)),
  greySpace('grey of gamma 1.8', gamma(1.8)),
];

const nameOf = (space: ColourSpace | undefined) => space?.name ?? 'no profile';

describe.each([8, 16] as const)('%i bits', (depth) => {
  describe.each([false, true])('alpha: %s', (hasAlpha) => {
    const alpha = hasAlpha ? 128 : 255;
    const extra = hasAlpha ? [alpha] : [];

    test.each(rgbSpaces.map((space) => [nameOf(space), space] as const))('RGB, %s', async (_, space) => {
      const samples = samplesOf(rgbCells, depth, extra);
      const wanted = shown(space, rgbCells, alpha);
      const png = writePng({
        ...size,
        depth,
        colorType: hasAlpha ? 6 : 2,
        samples,
        chunks: space === undefined ? [] : [['iCCP', iccChunk(space.profile)]],
      });
      const tiff = writeTiff({
        ...size,
        depth,
        channels: 3 + extra.length,
        photometric: 2,
        samples,
        tags: [
          ...(hasAlpha ? ([[338, 3, [2]]] as const) : []),
          ...(space === undefined ? [] : ([[34_675, 7, space.profile]] as const)),
        ],
      });
      for (const file of [png, tiff]) {
        expectColours(await coloursOf(file), wanted);
        expectColours(await coloursOf(file, true), wanted, hasAlpha ? 4 : 3);
      }
    });

    test.each(greySpaces.map((space) => [nameOf(space), space] as const))('grey, %s', async (_, space) => {
      const samples = samplesOf(greyCells, depth, extra);
      const wanted = shown(space, greyCells, alpha);
      const png = writePng({
        ...size,
        depth,
        colorType: hasAlpha ? 4 : 0,
        samples,
        chunks: space === undefined ? [] : [['iCCP', iccChunk(space.profile)]],
      });
      const tiff = writeTiff({
        ...size,
        depth,
        channels: 1 + extra.length,
        photometric: 1,
        samples,
        order: 'big',
        tags: [
          ...(hasAlpha ? ([[338, 3, [2]]] as const) : []),
          ...(space === undefined ? [] : ([[34_675, 7, space.profile]] as const)),
        ],
      });
      for (const file of [png, tiff]) expectColours(await coloursOf(file), wanted);
    });
  });

  test('a profile of tables', async () => {
    const space = tableSpace('RGB ', ([r = 0, g = 0, b = 0]) => [
      20 * r + 55 * g + 25 * b,
      40 * (r - g),
      30 * (r + g - 2 * b) * 0.5,
    ]);
    const cells = rgbCells.map((channels) => channels.map((value) => (value > 100 ? 255 : 0)));
    const samples = samplesOf(cells, depth);
    const wanted = shown(space, cells);
    const png = writePng({
      ...size,
      depth,
      colorType: 2,
      samples,
      chunks: [['iCCP', iccChunk(space.profile)]],
    });
    const tiff = writeTiff({
      ...size,
      depth,
      channels: 3,
      photometric: 2,
      samples,
      tags: [[34_675, 7, space.profile]],
    });
    for (const file of [png, tiff]) expectColours(await coloursOf(file), wanted);
  });

  test('CMYK by its profile, and spot colours left out', async () => {
    const space = tableSpace('CMYK', ([c = 0, m = 0, y = 0, k = 0]) => [
      100 * (1 - k) * (1 - 0.3 * c) * (1 - 0.3 * m) * (1 - 0.1 * y),
      30 * (m - c) * (1 - k),
      40 * (y - 0.5 * c - 0.5 * m) * (1 - k),
    ]);
    const cells = rgbCells.map((_, n) =>
      [n & 1, (n >> 1) & 1, (n >> 2) & 1, n >> 3].map((value) => value * 255),
    );
    const premultiplied = cells.map((cell) => cell.map((value) => Math.round((value * 128) / 255)));
    for (const [kinds, extra, alpha] of [
      [[], [], 255],
      [[0], [255], 255],
      [[0, 0], [40, 90], 255],
      [[0, 0, 0], [1, 2, 3], 255],
      [[2], [128], 128],
      [[0, 2], [9, 128], 128],
      [[1, 0], [128, 9], 128],
    ] as const) {
      const isPremultiplied = kinds.some((kind) => kind === 1);
      const file = writeTiff({
        ...size,
        depth,
        channels: 4 + extra.length,
        photometric: 5,
        samples: samplesOf(isPremultiplied ? premultiplied : cells, depth, extra),
        tags: [[34_675, 7, space.profile], ...(kinds.length > 0 ? ([[338, 3, kinds]] as const) : [])],
      });
      expect(await probe(file, limits)).toMatchObject({ colorSpace: 'CMYK', hasAlpha: alpha < 255 });
      expectColours(await coloursOf(file), shown(space, cells, alpha));
    }
  });

  test.each(['broken', 'cut', 'of another kind of colours'])(
    'a profile that is %s is ignored',
    async (what) => {
      const sound = rgbSpace('prophoto', prophoto).profile;
      const profile = {
        broken: Buffer.concat([sound.subarray(0, 200), Buffer.alloc(sound.length - 200)]),
        cut: sound.subarray(0, 300),
        'of another kind of colours': greySpace('grey', gamma(1)).profile,
      }[what];
      if (profile === undefined) throw new Error(what);
      const samples = samplesOf(rgbCells, depth);
      const png = writePng({ ...size, depth, colorType: 2, samples, chunks: [['iCCP', iccChunk(profile)]] });
      const tiff = writeTiff({
        ...size,
        depth,
        channels: 3,
        photometric: 2,
        samples,
        tags: [[34_675, 7, profile]],
      });
      for (const file of [png, tiff]) expectColours(await coloursOf(file), rgbCells);
    },
  );
});

/** The colours that an encoder left, read without any profile: only the conversion is judged. */
async function encodedCells(bytes: Uint8Array): Promise<number[][]> {
  const { data, info } = await sharp(bytes, { ignoreIcc: true }).raw().toBuffer({ resolveWithObject: true });
  return rgbCells.map((_, n) => {
    const at = middleOf(n) * info.channels;
    return [...data.subarray(at, at + 3)];
  });
}

describe.each(['jpeg', 'webp', 'avif'] as const)('%s', (format) => {
  test.each(rgbSpaces.slice(1).map((space) => [nameOf(space), space] as const))('%s', async (_, space) => {
    if (space === undefined) return;
    const png = writePng({
      ...size,
      depth: 8,
      colorType: 2,
      samples: samplesOf(rgbCells, 8),
      chunks: [['iCCP', iccChunk(space.profile)]],
    });
    const options = {
      quality: 100,
      chromaSubsampling: '4:4:4',
      ...(format === 'jpeg' ? {} : { lossless: true }),
    };
    const file = await sharp(png).keepIccProfile().toFormat(format, options).toBuffer();
    expectColours(await coloursOf(file), shown(space, await encodedCells(file)));
  });
});

describe('colours that a PNG names', () => {
  const cicp = (...codes: number[]): [string, Uint8Array] => ['cICP', Buffer.of(...codes)];
  const gama = (exponent: number): [string, Uint8Array] => ['gAMA', uint32(Math.round(exponent * 100_000))];
  const chrm = (...values: number[]): [string, Uint8Array] => [
    'cHRM',
    uint32(...values.map((value) => Math.round(value * 100_000))),
  ];
  const adobePrimaries = chrm(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06);
  const srgbPrimaries = chrm(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06);
  const srgb: [string, Uint8Array] = ['sRGB', Buffer.of(0)];
  const p3 = rgbSpace('p3', decodeSrgb);
  const profile = (space: ColourSpace): [string, Uint8Array] => ['iCCP', iccChunk(space.profile)];
  const same = undefined;

  test.each<[string, [string, Uint8Array][], ColourSpace | undefined]>([
    ['gamma 1', [gama(1)], rgbSpace('srgb', gamma(1))],
    ['gamma 1/1.8', [gama(1 / 1.8)], rgbSpace('srgb', gamma(1.8))],
    ['gamma 1/2.2, which means sRGB', [gama(0.45455)], same],
    ['gamma 1/2.2 and the primaries of sRGB', [gama(0.45455), srgbPrimaries], same],
    ['gamma 1 with sRGB, which counts', [srgb, gama(1)], same],
    [
      'gamma and primaries of Adobe RGB',
      [gama(256 / 563), adobePrimaries],
      rgbSpace('adobe', gamma(563 / 256)),
    ],
    ['primaries alone', [adobePrimaries], rgbSpace('adobe', decodeSrgb)],
    ['primaries that enclose nothing', [gama(0.45455), chrm(0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3)], same],
    ['an absurd gamma', [gama(0.001)], same],
    ['cICP of Display P3', [cicp(12, 13, 0, 1)], p3],
    ['cICP of sRGB', [cicp(1, 13, 0, 1)], same],
    ['cICP of linear sRGB', [cicp(1, 8, 0, 1)], rgbSpace('srgb', gamma(1))],
    ['cICP before a profile', [cicp(1, 13, 0, 1), profile(p3)], same],
    ['cICP before a profile, both in use', [cicp(12, 13, 0, 1), profile(rgbSpace('prophoto', prophoto))], p3],
    ['cICP with a matrix, which PNG forbids', [cicp(12, 13, 6, 1), gama(1)], rgbSpace('srgb', gamma(1))],
    ['a profile before gamma', [profile(p3), gama(1)], p3],
    [
      'gamma behind a broken profile',
      [['iCCP', iccChunk(Buffer.alloc(300))], gama(1)],
      rgbSpace('srgb', gamma(1)),
    ],
  ])('%s', async (_, chunks, space) => {
    for (const depth of [8, 16] as const) {
      const file = writePng({ ...size, depth, colorType: 2, samples: samplesOf(rgbCells, depth), chunks });
      expectColours(await coloursOf(file), shown(space, rgbCells));
    }
  });

  it('gamma counts for grey, alpha and palettes', async () => {
    for (const depth of [8, 16] as const) {
      const samples = samplesOf(greyCells, depth, [128]);
      const file = writePng({ ...size, depth, colorType: 4, samples, chunks: [gama(1)] });
      expectColours(await coloursOf(file), shown(greySpace('linear', gamma(1)), greyCells, 128));
    }
    const indices = rgbCells.map((_, n) => [n]);
    const palette: [string, Uint8Array] = ['PLTE', Buffer.from(rgbCells.flat())];
    const chunks = [gama(1), palette];
    const file = writePng({ ...size, depth: 8, colorType: 3, samples: samplesOf(indices, 8), chunks });
    expectColours(await coloursOf(file), shown(rgbSpace('srgb', gamma(1)), rgbCells));
  });

  it('a narrow range is spread', async () => {
    for (const depth of [8, 16] as const) {
      const unit = depth === 16 ? 256 / 257 : 1;
      const narrow = rgbCells.map((cellOf) =>
        cellOf.map((value) => Math.round((16 + (value * 219) / 255) * unit)),
      );
      const chunks = [cicp(1, 13, 0, 0)];
      const file = writePng({ ...size, depth, colorType: 2, samples: samplesOf(narrow, depth), chunks });
      expectColours(await coloursOf(file), rgbCells);
    }
  });

  test.each([
    ['PQ', 16],
    ['HLG', 18],
  ])('%s is refused with the reason', async (name, transfer) => {
    const chunks = [cicp(9, transfer, 0, 1)];
    const file = writePng({ ...size, depth: 16, colorType: 2, samples: samplesOf(rgbCells, 16), chunks });
    await expect(probe(file, limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: expect.stringContaining(name),
    });
  });
});

describe('colours that an AVIF names', () => {
  const rgb = Uint8Array.from(samplesOf(rgbCells, 8));
  const p3 = rgbSpace('p3', decodeSrgb);

  test.each<[string, Partial<Parameters<typeof writeAvif>[0]>, ColourSpace | undefined]>([
    ['sRGB', { nclx: [1, 13, 0] }, undefined],
    ['BT.709, which means sRGB', { nclx: [1, 1, 0] }, undefined],
    ['nothing', { nclx: [2, 2, 0] }, undefined],
    ['Display P3', { nclx: [12, 13, 0] }, p3],
    ['Display P3 with 10 bits', { nclx: [12, 13, 0], bitdepth: 10 }, p3],
    ['a profile, which counts', { nclx: [9, 13, 0], profile: p3.profile }, p3],
    ['a profile, with 10 bits', { nclx: [2, 2, 0], profile: p3.profile, bitdepth: 10 }, p3],
    ['linear light', { nclx: [1, 8, 0] }, rgbSpace('srgb', gamma(1))],
  ])('%s', async (_, own, space) => {
    const file = await writeAvif({ ...size, rgb, ...own });
    expectColours(await coloursOf(file), shown(space, await encodedCells(file)));
  });

  it('PQ is refused with the reason', async () => {
    const file = await writeAvif({ ...size, rgb, nclx: [9, 16, 0] });
    await expect(probe(file, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
  });

  test.each([
    ['sRGB', [1, 13, 0] as const, undefined],
    ['Display P3', [12, 13, 0] as const, p3],
  ])('colours multiplied by alpha are divided by it, in %s', async (_, nclx, space) => {
    const alpha = new Uint8Array(size.width * size.height).fill(128);
    const multiplied = rgb.map((value) => Math.round((value * 128) / 255));
    const file = await writeAvif({ ...size, rgb: multiplied, alpha, isPremultiplied: true, nclx });
    expect(await probe(file, limits)).toMatchObject({ hasAlpha: true });
    // The encoder's own error doubles.
    expectColours(await coloursOf(file), shown(space, rgbCells, 128), 6);
    const straight = await writeAvif({ ...size, rgb, alpha, nclx });
    expectColours(await coloursOf(straight), shown(space, rgbCells, 128), 6);
  });
});
