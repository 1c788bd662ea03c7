import sharp from 'sharp';
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
import {
  type ColourSpace,
  decodeSrgb,
  gamma,
  greySpace,
  prophoto,
  rgbSpace,
  tableSpace,
} from '../support/write-icc.ts';
import { iccChunk, writePng } from '../support/write-png.ts';
import { writeTiff } from '../support/write-tiff.ts';

// The expected colours are computed from the curves and matrices of the colour space and sRGB, then clipped.

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
  greySpace('grey with gamma 1.8', gamma(1.8)),
];

const profileName = (space: ColourSpace | undefined) => space?.name ?? 'no profile';

describe.each([8, 16] as const)('with %i bits', (depth) => {
  describe.each([false, true])('with alpha: %s', (hasAlpha) => {
    const alpha = hasAlpha ? 128 : 255;
    const extraSamples = hasAlpha ? [alpha] : [];

    test.each(rgbSpaces.map((space) => [profileName(space), space] as const))(
      'decodes RGB with %s',
      async (_, space) => {
        const samples = toSamples(rgbCells, depth, extraSamples);
        const expected = toSrgbCells(space, rgbCells, alpha);
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
          channels: 3 + extraSamples.length,
          photometric: 2,
          samples,
          tags: [
            ...(hasAlpha ? ([[338, 3, [2]]] as const) : []),
            ...(space === undefined ? [] : ([[34_675, 7, space.profile]] as const)),
          ],
        });
        for (const file of [png, tiff]) {
          expectColours(await decodeCells(file), expected);
          expectColours(await decodeCells(file, true), expected, hasAlpha ? 4 : 3);
        }
      },
    );

    test.each(greySpaces.map((space) => [profileName(space), space] as const))(
      'decodes grey with %s',
      async (_, space) => {
        const samples = toSamples(greyCells, depth, extraSamples);
        const expected = toSrgbCells(space, greyCells, alpha);
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
          channels: 1 + extraSamples.length,
          photometric: 1,
          samples,
          order: 'big',
          tags: [
            ...(hasAlpha ? ([[338, 3, [2]]] as const) : []),
            ...(space === undefined ? [] : ([[34_675, 7, space.profile]] as const)),
          ],
        });
        for (const file of [png, tiff]) expectColours(await decodeCells(file), expected);
      },
    );
  });

  test('decodes RGB with a profile that contains a lookup table', async () => {
    const space = tableSpace('RGB ', ([r = 0, g = 0, b = 0]) => [
      20 * r + 55 * g + 25 * b,
      40 * (r - g),
      30 * (r + g - 2 * b) * 0.5,
    ]);
    const cells = rgbCells.map((channels) => channels.map((value) => (value > 100 ? 255 : 0)));
    const samples = toSamples(cells, depth);
    const expected = toSrgbCells(space, cells);
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
    for (const file of [png, tiff]) expectColours(await decodeCells(file), expected);
  });

  test('decodes CMYK with a profile, and ignores spot colours', async () => {
    const space = tableSpace('CMYK', ([c = 0, m = 0, y = 0, k = 0]) => [
      100 * (1 - k) * (1 - 0.3 * c) * (1 - 0.3 * m) * (1 - 0.1 * y),
      30 * (m - c) * (1 - k),
      40 * (y - 0.5 * c - 0.5 * m) * (1 - k),
    ]);
    const cells = rgbCells.map((_, n) =>
      [n & 1, (n >> 1) & 1, (n >> 2) & 1, n >> 3].map((value) => value * 255),
    );
    const premultipliedCells = cells.map((cell) => cell.map((value) => Math.round((value * 128) / 255)));
    for (const [extraSampleKinds, extraSamples, alpha] of [
      [[], [], 255],
      [[0], [255], 255],
      [[0, 0], [40, 90], 255],
      [[0, 0, 0], [1, 2, 3], 255],
      [[2], [128], 128],
      [[0, 2], [9, 128], 128],
      [[1, 0], [128, 9], 128],
    ] as const) {
      const isPremultiplied = extraSampleKinds.some((kind) => kind === 1);
      const file = writeTiff({
        ...size,
        depth,
        channels: 4 + extraSamples.length,
        photometric: 5,
        samples: toSamples(isPremultiplied ? premultipliedCells : cells, depth, extraSamples),
        tags: [
          [34_675, 7, space.profile],
          ...(extraSampleKinds.length > 0 ? ([[338, 3, extraSampleKinds]] as const) : []),
        ],
      });
      expect(await probe(file, limits)).toMatchObject({ colorSpace: 'CMYK', hasAlpha: alpha < 255 });
      expectColours(await decodeCells(file), toSrgbCells(space, cells, alpha));
    }
  });

  test.each(['corrupt', 'truncated', 'for a different colour model'])(
    'ignores a profile that is %s',
    async (defect) => {
      const validProfile = rgbSpace('prophoto', prophoto).profile;
      const profile = {
        corrupt: Buffer.concat([validProfile.subarray(0, 200), Buffer.alloc(validProfile.length - 200)]),
        truncated: validProfile.subarray(0, 300),
        'for a different colour model': greySpace('grey', gamma(1)).profile,
      }[defect];
      if (profile === undefined) throw new Error(defect);
      const samples = toSamples(rgbCells, depth);
      const png = writePng({ ...size, depth, colorType: 2, samples, chunks: [['iCCP', iccChunk(profile)]] });
      const tiff = writeTiff({
        ...size,
        depth,
        channels: 3,
        photometric: 2,
        samples,
        tags: [[34_675, 7, profile]],
      });
      for (const file of [png, tiff]) expectColours(await decodeCells(file), rgbCells);
    },
  );
});

describe.each(['jpeg', 'webp', 'avif'] as const)('in a %s file', (format) => {
  test.each(rgbSpaces.slice(1).map((space) => [profileName(space), space] as const))(
    'decodes RGB with %s',
    async (_, space) => {
      if (space === undefined) return;
      const png = writePng({
        ...size,
        depth: 8,
        colorType: 2,
        samples: toSamples(rgbCells, 8),
        chunks: [['iCCP', iccChunk(space.profile)]],
      });
      const options = {
        quality: 100,
        chromaSubsampling: '4:4:4',
        ...(format === 'jpeg' ? {} : { lossless: true }),
      };
      const file = await sharp(png).keepIccProfile().toFormat(format, options).toBuffer();
      expectColours(await decodeCells(file), toSrgbCells(space, await encodedCells(file)));
    },
  );
});
