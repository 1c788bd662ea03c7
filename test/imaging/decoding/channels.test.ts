import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { coloursOf, expectColours, greyCells, rgbCells, samplesOf, shown, size } from '../support/cells.ts';
import { greySpace, labToXyz, rgbSpace, toSrgb } from '../support/write-icc.ts';
import { writeGif } from '../support/write-gif.ts';
import { writePng } from '../support/write-png.ts';
import { type TiffInput, writeTiff } from '../support/write-tiff.ts';

const [extraSamples, sampleFormat, profileTag] = [338, 339, 34_675];
const adobe = rgbSpace('adobe', (value) => value ** (563 / 256));
const linearGrey = greySpace('linear', (value) => value);

type Own = Partial<TiffInput> & Pick<TiffInput, 'samples' | 'channels' | 'photometric'>;

function tiff(own: Own): Buffer {
  return writeTiff({ ...size, depth: 8, ...own });
}

describe.each([8, 16] as const)('a TIFF of %i bits', (depth) => {
  // Kinds of the channels behind the colours: 0 unspecified, 1 alpha that the colours are multiplied by, 2 alpha.
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
  ])('extra samples %j', async (kinds, extra, alpha) => {
    const premultiplied = kinds.includes(1);
    const multiply = (cells: readonly (readonly number[])[]) =>
      premultiplied ? cells.map((cell) => cell.map((value) => Math.round((value * alpha) / 255))) : cells;
    for (const [cells, photometric] of [
      [rgbCells, 2],
      [greyCells, 1],
    ] as const) {
      const wanted = shown(undefined, cells, alpha);
      for (const isPlanar of [false, true]) {
        const file = tiff({
          depth,
          photometric,
          channels: (cells[0]?.length ?? 0) + extra.length,
          samples: samplesOf(multiply(cells), depth, extra),
          isPlanar,
          order: isPlanar ? 'big' : 'little',
          tags: [[extraSamples, 3, kinds]],
        });
        expect(await probe(file, limits)).toMatchObject({ hasAlpha: alpha < 255, bitDepth: depth });
        expectColours(await coloursOf(file), wanted);
        expectColours(await coloursOf(file, true), wanted, premultiplied ? 4 : 3);
      }
    }
  });

  test('extra samples and a profile', async () => {
    for (const [space, cells, photometric] of [
      [adobe, rgbCells, 2],
      [linearGrey, greyCells, 1],
    ] as const) {
      for (const [kinds, extra, alpha] of [
        [[0], [0], 255],
        [[2, 0], [128, 9], 128],
      ] as const) {
        const file = tiff({
          depth,
          photometric,
          channels: (cells[0]?.length ?? 0) + extra.length,
          samples: samplesOf(cells, depth, extra),
          tags: [
            [extraSamples, 3, kinds],
            [profileTag, 7, space.profile],
          ],
        });
        expectColours(await coloursOf(file), shown(space, cells, alpha));
      }
    }
  });

  test('white may be 0', async () => {
    const inverted = greyCells.map((cell) => cell.map((value) => 255 - value));
    for (const extra of [[], [0]]) {
      const file = tiff({
        depth,
        photometric: 0,
        channels: 1 + extra.length,
        samples: samplesOf(inverted, depth, extra),
        tags: extra.length > 0 ? [[extraSamples, 3, [0]]] : [],
      });
      expectColours(await coloursOf(file), shown(undefined, greyCells));
    }
  });

  /** Encoders of L*a*b* to the numbers of each kind, 8 bits and 16 bits. */
  const labKinds = {
    CIE: [
      8,
      depth === 8 ? (v: number) => v * 2.55 : (v: number) => v * 655.35,
      (v: number) => v * (depth === 8 ? 1 : 256),
    ],
    ICC: [
      9,
      depth === 8 ? (v: number) => v * 2.55 : (v: number) => v * 652.8,
      (v: number) => (v + 128) * (depth === 8 ? 1 : 256),
    ],
  } as const;
  const labCells = [
    [50, 0, 0],
    [100, 0, 0],
    [0, 0, 0],
    [60, 40, 20],
    [60, -40, 20],
    [40, 20, -50],
    [80, -5, 60],
    [30, -1, -1],
    [70, 60, -30],
    [90, -20, -10],
    [20, 10, 10],
    [55, -60, 50],
  ];
  // Eight bits round the lightness, which shows where a colour is dark in one channel.
  const steps = depth === 8 ? 2.55 : 652.8;
  const wantedLab = labCells.map(([l = 0, a = 0, b = 0]) =>
    toSrgb(labToXyz([Math.round(l * steps) / steps, a, b])),
  );

  test.each(['CIE', 'ICC'] as const)('%s L*a*b*', async (kind) => {
    const [photometric, lightness, chroma] = labKinds[kind];
    const limit = 2 ** depth;
    const wrap = (value: number) => (Math.round(value) + limit) % limit;
    const cells = labCells.map(([l = 0, a = 0, b = 0]) => [
      Math.round(lightness(l)),
      wrap(chroma(a)),
      wrap(chroma(b)),
    ]);
    for (const [kinds, extra, alpha] of [
      [[], [], 255],
      [[0], [0], 255],
      [[2], [128], 128],
    ] as const) {
      const samples = samplesOf(
        cells.map((cell) => [...cell, ...extra.map((value) => value * (depth === 16 ? 257 : 1))]),
        8,
      );
      const file = tiff({
        depth,
        photometric,
        channels: 3 + extra.length,
        samples,
        tags: kinds.length > 0 ? [[extraSamples, 3, kinds]] : [],
      });
      expect(await probe(file, limits)).toMatchObject({
        colorSpace: 'LAB',
        bitDepth: depth,
        hasAlpha: alpha < 255,
      });
      const wanted = wantedLab.map((cell) =>
        cell.map((value) => Math.round(255 + ((value - 255) * alpha) / 255)),
      );
      expectColours(await coloursOf(file), wanted);
      expectColours(await coloursOf(file, true), wanted);
    }
  });

  test.each([
    [2, 'signed integers'],
    [3, 'floating-point numbers'],
    [5, 'complex integers'],
  ])('numbers of format %i are refused', async (format, name) => {
    if (depth === 8 && format !== 2) return;
    const file = tiff({
      depth,
      photometric: 2,
      channels: 3,
      samples: samplesOf(rgbCells, depth),
      tags: [[sampleFormat, 3, [format, format, format]]],
    });
    await expect(probe(file, limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: expect.stringContaining(`${depth}-bit ${name}`),
    });
  });
});

test('ITU L*a*b* has ranges of its own', async () => {
  const cells = rgbCells.map((_, n) => [20 * n + 20, 127, 96]);
  const wanted = cells.map(([l = 0]) =>
    toSrgb(labToXyz([(l * 100) / 255, -85 + (127 * 170) / 255, -75 + (96 * 200) / 255])),
  );
  const file = tiff({ photometric: 10, channels: 3, samples: samplesOf(cells, 8) });
  expectColours(await coloursOf(file), wanted);
});

test.each([
  ['32-bit integers', { depth: 32 }, '32 bits'],
  ['32-bit floating-point numbers', { depth: 32, tags: [[sampleFormat, 3, [3]]] }, '32-bit floating-point'],
  ['logarithmic luminance', { photometric: 32_844, depth: 16 }, 'logarithmic'],
  ['a transparency mask', { photometric: 4, depth: 8 }, 'mask'],
] as const)('a TIFF of %s is refused with the reason', async (_, own, reason) => {
  const file = tiff({ photometric: 1, channels: 1, samples: samplesOf(greyCells, 8), ...own });
  await expect(probe(file, limits)).rejects.toMatchObject({
    code: 'picture_unsupported',
    message: expect.stringContaining(reason),
  });
});

test('other inks than CMYK, and channels without number, are refused', async () => {
  const cells = rgbCells.map((cell) => [...cell, 1, 2, 3]);
  const inks = tiff({ photometric: 5, channels: 6, samples: samplesOf(cells, 8), tags: [[332, 3, [2]]] });
  await expect(probe(inks, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
  const many = writeTiff({
    width: 1,
    height: 1,
    depth: 8,
    channels: 500,
    photometric: 1,
    samples: Array(500).fill(9),
  });
  await expect(probe(many, limits)).rejects.toMatchObject({ code: 'picture_unsupported' });
});

test("a TIFF of Y'CbCr without compression", async () => {
  const cells = rgbCells.map(([r = 0, g = 0, b = 0]) => {
    const y = 0.299 * r + 0.587 * g + 0.114 * b;
    return [y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402].map((value) => Math.min(255, Math.round(value)));
  });
  const file = tiff({ photometric: 6, channels: 3, samples: samplesOf(cells, 8), tags: [[530, 3, [1, 1]]] });
  expectColours(await coloursOf(file), rgbCells);
});

test.each([1, 2, 4] as const)('grey and palettes of %i bits', async (depth) => {
  const most = 2 ** depth - 1;
  const cells = rgbCells.map((_, n) => [n % (most + 1)]);
  const wanted = cells.map(([value = 0]) => Array(3).fill(Math.round((value * 255) / most)));
  for (const photometric of [0, 1]) {
    const samples = samplesOf(photometric === 1 ? cells : cells.map(([value = 0]) => [most - value]), 8);
    expectColours(await coloursOf(tiff({ depth, photometric, channels: 1, samples })), wanted);
  }
  const colorMap = [0, 1, 2].flatMap((n) =>
    Array.from({ length: most + 1 }, (_, k) => (rgbCells[k]?.[n] ?? 0) * 257),
  );
  const palette = tiff({
    depth,
    photometric: 3,
    channels: 1,
    samples: samplesOf(cells, 8),
    tags: [[320, 3, colorMap]],
  });
  expectColours(
    await coloursOf(palette),
    cells.map(([value = 0]) => rgbCells[value] ?? []),
  );
  const png = writePng({ ...size, depth, colorType: 0, samples: samplesOf(cells, 8) });
  expectColours(await coloursOf(png), wanted);
});

test('extra samples behind a palette, compressed pixels and a turned picture', async () => {
  const indices = rgbCells.map((_, n) => [n]);
  const colorMap = [0, 1, 2].flatMap((n) =>
    Array.from({ length: 256 }, (_, k) => (rgbCells[k]?.[n] ?? 0) * 257),
  );
  const palette = tiff({
    photometric: 3,
    channels: 2,
    samples: samplesOf(indices, 8, [0]),
    tags: [
      [320, 3, colorMap],
      [extraSamples, 3, [0]],
    ],
  });
  expectColours(await coloursOf(palette), rgbCells);

  const samples = samplesOf(rgbCells, 8, [0, 50]);
  const differences = samples.map((value, n) =>
    n % (size.width * 5) < 5 ? value : (value - (samples[n - 5] ?? 0)) & 255,
  );
  const deflated = tiff({
    photometric: 2,
    channels: 5,
    samples: [],
    strip: deflateSync(Uint8Array.from(differences)),
    tags: [
      [259, 3, [8]],
      [317, 3, [2]],
      [extraSamples, 3, [0, 0]],
    ],
  });
  expectColours(await coloursOf(deflated), rgbCells);

  const upsideDown = tiff({
    photometric: 2,
    channels: 5,
    samples: samplesOf([...rgbCells].reverse(), 8, [0, 50]),
    tags: [
      [274, 3, [3]],
      [extraSamples, 3, [0, 0]],
    ],
  });
  expectColours(await coloursOf(upsideDown), rgbCells);
});

test('a TIFF of RGB and one channel more that says nothing about it has alpha', async () => {
  const file = tiff({ photometric: 2, channels: 4, samples: samplesOf(rgbCells, 8, [128]) });
  expect(await probe(file, limits)).toMatchObject({ colorSpace: 'RGBA' });
  expectColours(await coloursOf(file), shown(undefined, rgbCells, 128));
});

test('JPEG inside TIFF', async () => {
  const pixels = Uint8Array.from(samplesOf(rgbCells, 8));
  const file = await sharp(pixels, { raw: { ...size, channels: 3 } })
    .tiff({ compression: 'jpeg', quality: 100 })
    .toBuffer();
  expectColours(await coloursOf(file), rgbCells, 8);
});

test.each([8, 16] as const)('a PNG of %i bits with a transparent colour', async (depth) => {
  const key = depth === 16 ? [0xff, 0xff, 0, 0, 0, 0] : [0, 255, 0, 0, 0, 0];
  const file = writePng({
    ...size,
    depth,
    colorType: 2,
    samples: samplesOf(rgbCells, depth),
    chunks: [['tRNS', Buffer.from(key)]],
  });
  expect(await probe(file, limits)).toMatchObject({ hasAlpha: true });
  expectColours(await coloursOf(file), [[255, 255, 255], ...rgbCells.slice(1)]);
});

test('a PNG of a palette with transparent entries', async () => {
  const file = writePng({
    ...size,
    depth: 8,
    colorType: 3,
    samples: samplesOf(
      rgbCells.map((_, n) => [n]),
      8,
    ),
    chunks: [
      ['PLTE', Buffer.from(rgbCells.flat())],
      ['tRNS', Buffer.of(128, 0)],
    ],
  });
  expectColours(await coloursOf(file), [[255, 127, 127], [255, 255, 255], ...rgbCells.slice(2)]);
});

describe('a GIF whose first frame does not cover its screen', () => {
  const palette = [
    [200, 30, 30],
    [0, 0, 0],
  ];
  // The cells 5 and 6, in the middle of the picture.
  const frame = { left: 12, top: 12, width: 24, height: 12, indices: Array(24 * 12).fill(0) };
  const white = [255, 255, 255];
  const whole = { left: 0, top: 0, ...size, indices: Array(size.width * size.height).fill(1) };

  test.each([
    ['lies on white', [frame], [200, 30, 30]],
    ['with a second frame over the whole screen', [frame, whole], [200, 30, 30]],
    ['with a transparent colour', [{ ...frame, transparent: 1 }], [200, 30, 30]],
    ['with its colour transparent', [{ ...frame, transparent: 0 }], white],
  ])('%s', async (_, frames, inside) => {
    const file = writeGif(size, palette, frames);
    expect(await probe(file, limits)).toMatchObject(size);
    const wanted = rgbCells.map((_cell, n) => (n === 5 || n === 6 ? inside : white));
    expectColours(await coloursOf(file), wanted);
    expectColours(await coloursOf(file, true), wanted);
  });

  test('beyond the screen, nothing is shown', async () => {
    const left = 24;
    const indices = Array(size.width * size.height).fill(0);
    const file = writeGif(size, palette, [{ left, top: 0, ...size, indices }]);
    expect(await probe(file, limits)).toMatchObject(size);
    expectColours(
      await coloursOf(file),
      rgbCells.map((_, n) => (n % 4 < 2 ? white : [200, 30, 30])),
    );
    for (const top of [0, 60_000]) {
      const outside = writeGif(size, palette, [{ ...frame, left: 60_000, top }]);
      expect(await probe(outside, limits)).toMatchObject(size);
      expectColours(
        await coloursOf(outside),
        rgbCells.map(() => white),
      );
    }
  });

  test('a frame larger than the screen is the picture', async () => {
    const screen = { width: 2, height: 2 };
    const indices = Array(size.width * size.height).fill(0);
    const file = writeGif(screen, palette, [{ left: 0, top: 0, ...size, indices }]);
    expect(await probe(file, limits)).toMatchObject(size);
    expectColours(
      await coloursOf(file),
      rgbCells.map(() => [200, 30, 30]),
    );
  });
});
