import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import {
  decodeCells,
  expectColours,
  greyCells,
  rgbCells,
  toSamples,
  toSrgbCells,
  size,
} from '../support/cells.ts';
import { greySpace, rgbSpace } from '../support/write-icc.ts';
import { writePng } from '../support/write-png.ts';
import { type TiffInput, writeTiff } from '../support/write-tiff.ts';

const [extraSamplesTag, sampleFormatTag, profileTag] = [338, 339, 34_675];
const adobe = rgbSpace('adobe', (value) => value ** (563 / 256));
const linearGrey = greySpace('linear', (value) => value);

type ChannelInput = Partial<TiffInput> & Pick<TiffInput, 'samples' | 'channels' | 'photometric'>;

function tiff(input: ChannelInput): Buffer {
  return writeTiff({ ...size, depth: 8, ...input });
}

describe.each([8, 16] as const)('with %i-bit samples', (depth) => {
  // The kinds of extra samples are 0 (unspecified), 1 (premultiplied alpha) and 2 (straight alpha).
  test.each([
    [[0], [0], 255],
    [[0], [77], 255],
    [[0, 0], [0, 200], 255],
    [[0, 0, 0, 0], [1, 2, 3, 4], 255],
    [[2], [128], 128],
    [[2, 0], [128, 7], 128],
    [[0, 2], [7, 128], 128],
    [[1], [128], 128],
    [[1, 0], [128, 99], 128],
    [[0, 2, 0], [0, 128, 0], 128],
  ])('decodes extra samples of kinds %j', async (extraSampleKinds, extraSamples, alpha) => {
    const isPremultiplied = extraSampleKinds.includes(1);
    const multiply = (cells: readonly (readonly number[])[]) =>
      isPremultiplied ? cells.map((cell) => cell.map((value) => Math.round((value * alpha) / 255))) : cells;
    for (const [cells, photometric] of [
      [rgbCells, 2],
      [greyCells, 1],
    ] as const) {
      const expected = toSrgbCells(undefined, cells, alpha);
      for (const isPlanar of [false, true]) {
        const file = tiff({
          depth,
          photometric,
          channels: (cells[0]?.length ?? 0) + extraSamples.length,
          samples: toSamples(multiply(cells), depth, extraSamples),
          isPlanar,
          order: isPlanar ? 'big' : 'little',
          tags: [[extraSamplesTag, 3, extraSampleKinds]],
        });
        expect(await probe(file, limits)).toMatchObject({ hasAlpha: alpha < 255, bitDepth: depth });
        expectColours(await decodeCells(file), expected);
        expectColours(await decodeCells(file, true), expected, isPremultiplied ? 4 : 3);
      }
    }
  });

  test('decodes extra samples with a profile', async () => {
    for (const [space, cells, photometric] of [
      [adobe, rgbCells, 2],
      [linearGrey, greyCells, 1],
    ] as const) {
      for (const [extraSampleKinds, extraSamples, alpha] of [
        [[0], [0], 255],
        [[2, 0], [128, 9], 128],
      ] as const) {
        const file = tiff({
          depth,
          photometric,
          channels: (cells[0]?.length ?? 0) + extraSamples.length,
          samples: toSamples(cells, depth, extraSamples),
          tags: [
            [extraSamplesTag, 3, extraSampleKinds],
            [profileTag, 7, space.profile],
          ],
        });
        expectColours(await decodeCells(file), toSrgbCells(space, cells, alpha));
      }
    }
  });

  test('decodes inverted grey', async () => {
    const invertedCells = greyCells.map((cell) => cell.map((value) => 255 - value));
    for (const extraSamples of [[], [0]]) {
      const file = tiff({
        depth,
        photometric: 0,
        channels: 1 + extraSamples.length,
        samples: toSamples(invertedCells, depth, extraSamples),
        tags: extraSamples.length > 0 ? [[extraSamplesTag, 3, [0]]] : [],
      });
      expectColours(await decodeCells(file), toSrgbCells(undefined, greyCells));
    }
  });

  test.each([
    [2, 'signed integers'],
    [3, 'floating-point numbers'],
    [5, 'complex integers'],
  ])('rejects sample format %i', async (format, name) => {
    if (depth === 8 && format !== 2) return;
    const file = tiff({
      depth,
      photometric: 2,
      channels: 3,
      samples: toSamples(rgbCells, depth),
      tags: [[sampleFormatTag, 3, [format, format, format]]],
    });
    await expect(probe(file, limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: expect.stringContaining(`${depth}-bit ${name}`),
    });
  });
});

test.each([
  ['32-bit integers', { depth: 32 }, '32 bits'],
  [
    '32-bit floating-point numbers',
    { depth: 32, tags: [[sampleFormatTag, 3, [3]]] },
    '32-bit floating-point',
  ],
  ['logarithmic luminance', { photometric: 32_844, depth: 16 }, 'logarithmic'],
  ['a transparency mask', { photometric: 4, depth: 8 }, 'mask'],
] as const)('rejects a TIFF with %s', async (_, input, reason) => {
  const file = tiff({ photometric: 1, channels: 1, samples: toSamples(greyCells, 8), ...input });
  await expect(probe(file, limits)).rejects.toMatchObject({
    code: 'picture_unsupported',
    message: expect.stringContaining(reason),
  });
});

test('rejects inks other than CMYK, and too many channels', async () => {
  const cells = rgbCells.map((cell) => [...cell, 1, 2, 3]);
  const inkTiff = tiff({ photometric: 5, channels: 6, samples: toSamples(cells, 8), tags: [[332, 3, [2]]] });
  await expect(probe(inkTiff, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
  const manyChannels = writeTiff({
    width: 1,
    height: 1,
    depth: 8,
    channels: 500,
    photometric: 1,
    samples: Array(500).fill(9),
  });
  await expect(probe(manyChannels, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
});

test("decodes uncompressed Y'CbCr", async () => {
  const cells = rgbCells.map(([r = 0, g = 0, b = 0]) => {
    const y = 0.299 * r + 0.587 * g + 0.114 * b;
    return [y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402].map((value) => Math.min(255, Math.round(value)));
  });
  const file = tiff({ photometric: 6, channels: 3, samples: toSamples(cells, 8), tags: [[530, 3, [1, 1]]] });
  expectColours(await decodeCells(file), rgbCells);
});

test.each([1, 2, 4] as const)('decodes %i-bit grey and palettes', async (depth) => {
  const max = 2 ** depth - 1;
  const cells = rgbCells.map((_, n) => [n % (max + 1)]);
  const expected = cells.map(([value = 0]) => Array(3).fill(Math.round((value * 255) / max)));
  for (const photometric of [0, 1]) {
    const samples = toSamples(photometric === 1 ? cells : cells.map(([value = 0]) => [max - value]), 8);
    expectColours(await decodeCells(tiff({ depth, photometric, channels: 1, samples })), expected);
  }
  const colorMap = [0, 1, 2].flatMap((n) =>
    Array.from({ length: max + 1 }, (_, k) => (rgbCells[k]?.[n] ?? 0) * 257),
  );
  const palette = tiff({
    depth,
    photometric: 3,
    channels: 1,
    samples: toSamples(cells, 8),
    tags: [[320, 3, colorMap]],
  });
  expectColours(
    await decodeCells(palette),
    cells.map(([value = 0]) => rgbCells[value] ?? []),
  );
  const png = writePng({ ...size, depth, colorType: 0, samples: toSamples(cells, 8) });
  expectColours(await decodeCells(png), expected);
});

test('decodes extra samples with a palette, in compressed pixels and in a rotated picture', async () => {
  const indices = rgbCells.map((_, n) => [n]);
  const colorMap = [0, 1, 2].flatMap((n) =>
    Array.from({ length: 256 }, (_, k) => (rgbCells[k]?.[n] ?? 0) * 257),
  );
  const palette = tiff({
    photometric: 3,
    channels: 2,
    samples: toSamples(indices, 8, [0]),
    tags: [
      [320, 3, colorMap],
      [extraSamplesTag, 3, [0]],
    ],
  });
  expectColours(await decodeCells(palette), rgbCells);

  const samples = toSamples(rgbCells, 8, [0, 50]);
  const sampleDifferences = samples.map((value, n) =>
    n % (size.width * 5) < 5 ? value : (value - (samples[n - 5] ?? 0)) & 255,
  );
  const deflatedTiff = tiff({
    photometric: 2,
    channels: 5,
    samples: [],
    strip: deflateSync(Uint8Array.from(sampleDifferences)),
    tags: [
      [259, 3, [8]],
      [317, 3, [2]],
      [extraSamplesTag, 3, [0, 0]],
    ],
  });
  expectColours(await decodeCells(deflatedTiff), rgbCells);

  const rotatedTiff = tiff({
    photometric: 2,
    channels: 5,
    samples: toSamples([...rgbCells].reverse(), 8, [0, 50]),
    tags: [
      [274, 3, [3]],
      [extraSamplesTag, 3, [0, 0]],
    ],
  });
  expectColours(await decodeCells(rotatedTiff), rgbCells);
});

test('decodes an undeclared fourth channel as alpha', async () => {
  const file = tiff({ photometric: 2, channels: 4, samples: toSamples(rgbCells, 8, [128]) });
  expect(await probe(file, limits)).toMatchObject({ colorSpace: 'RGBA' });
  expectColours(await decodeCells(file), toSrgbCells(undefined, rgbCells, 128));
});

test('decodes JPEG-compressed pixels', async () => {
  const pixels = Uint8Array.from(toSamples(rgbCells, 8));
  const file = await sharp(pixels, { raw: { ...size, channels: 3 } })
    .tiff({ compression: 'jpeg', quality: 100 })
    .toBuffer();
  expectColours(await decodeCells(file), rgbCells, 8);
});
