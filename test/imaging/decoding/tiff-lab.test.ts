import { describe, expect, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { decodeCells, expectColours, rgbCells, toSamples, size } from '../support/cells.ts';
import { labToXyz, toSrgb } from '../support/write-icc.ts';
import { writeTiff } from '../support/write-tiff.ts';

const extraSamplesTag = 338;

describe.each([8, 16] as const)('with %i-bit samples', (depth) => {
  /** For each kind of L*a*b*, the photometric interpretation and the functions that encode lightness and chroma. */
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
  // The expected colours use the rounded lightness, because rounding visibly changes dark colours.
  const lightnessSteps = depth === 8 ? 2.55 : 652.8;
  const expectedLab = labCells.map(([l = 0, a = 0, b = 0]) =>
    toSrgb(labToXyz([Math.round(l * lightnessSteps) / lightnessSteps, a, b])),
  );

  test.each(['CIE', 'ICC'] as const)('decodes %s L*a*b*', async (kind) => {
    const [photometric, lightness, chroma] = labKinds[kind];
    const valueCount = 2 ** depth;
    const wrap = (value: number) => (Math.round(value) + valueCount) % valueCount;
    const cells = labCells.map(([l = 0, a = 0, b = 0]) => [
      Math.round(lightness(l)),
      wrap(chroma(a)),
      wrap(chroma(b)),
    ]);
    for (const [extraSampleKinds, extraSamples, alpha] of [
      [[], [], 255],
      [[0], [0], 255],
      [[2], [128], 128],
    ] as const) {
      const samples = toSamples(
        cells.map((cell) => [...cell, ...extraSamples.map((value) => value * (depth === 16 ? 257 : 1))]),
        8,
      );
      const file = writeTiff({
        ...size,
        depth,
        photometric,
        channels: 3 + extraSamples.length,
        samples,
        tags: extraSampleKinds.length > 0 ? [[extraSamplesTag, 3, extraSampleKinds]] : [],
      });
      expect(await probe(file, limits)).toMatchObject({
        colorSpace: 'LAB',
        bitDepth: depth,
        hasAlpha: alpha < 255,
      });
      const expected = expectedLab.map((cell) =>
        cell.map((value) => Math.round(255 + ((value - 255) * alpha) / 255)),
      );
      expectColours(await decodeCells(file), expected);
      expectColours(await decodeCells(file, true), expected);
    }
  });
});

test('decodes ITU L*a*b*, whose values have different ranges', async () => {
  const cells = rgbCells.map((_, n) => [20 * n + 20, 127, 96]);
  const expected = cells.map(([l = 0]) =>
    toSrgb(labToXyz([(l * 100) / 255, -85 + (127 * 170) / 255, -75 + (96 * 200) / 255])),
  );
  const file = writeTiff({ ...size, depth: 8, photometric: 10, channels: 3, samples: toSamples(cells, 8) });
  expectColours(await decodeCells(file), expected);
});
