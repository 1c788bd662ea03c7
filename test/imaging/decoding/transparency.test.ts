import { describe, expect, test } from 'vitest';
import { probe } from '../../../src/imaging/probe.ts';
import { limits } from '../fixtures/pictures.ts';
import { decodeCells, expectColours, rgbCells, toSamples, size } from '../support/cells.ts';
import { writeGif } from '../support/write-gif.ts';
import { writePng } from '../support/write-png.ts';

test.each([8, 16] as const)('decodes a %i-bit PNG with a transparent colour', async (depth) => {
  const transparentColour = depth === 16 ? [0xff, 0xff, 0, 0, 0, 0] : [0, 255, 0, 0, 0, 0];
  const file = writePng({
    ...size,
    depth,
    colorType: 2,
    samples: toSamples(rgbCells, depth),
    chunks: [['tRNS', Buffer.from(transparentColour)]],
  });
  expect(await probe(file, limits)).toMatchObject({ hasAlpha: true });
  expectColours(await decodeCells(file), [[255, 255, 255], ...rgbCells.slice(1)]);
});

test('decodes a PNG palette with transparent entries', async () => {
  const file = writePng({
    ...size,
    depth: 8,
    colorType: 3,
    samples: toSamples(
      rgbCells.map((_, n) => [n]),
      8,
    ),
    chunks: [
      ['PLTE', Buffer.from(rgbCells.flat())],
      ['tRNS', Buffer.of(128, 0)],
    ],
  });
  expectColours(await decodeCells(file), [[255, 127, 127], [255, 255, 255], ...rgbCells.slice(2)]);
});

describe('a GIF whose first frame does not match its logical screen', () => {
  const palette = [
    [200, 30, 30],
    [0, 0, 0],
  ];
  // This frame covers cells 5 and 6 in the middle of the picture.
  const frame = { left: 12, top: 12, width: 24, height: 12, indices: Array(24 * 12).fill(0) };
  const white = [255, 255, 255];
  const fullFrame = { left: 0, top: 0, ...size, indices: Array(size.width * size.height).fill(1) };

  test.each([
    ['has a white background around the frame', [frame], [200, 30, 30]],
    ['is decoded without its second frame', [frame, fullFrame], [200, 30, 30]],
    ['is decoded if the frame has a transparent colour', [{ ...frame, transparentIndex: 1 }], [200, 30, 30]],
    ['is white if the frame is fully transparent', [{ ...frame, transparentIndex: 0 }], white],
  ])('%s', async (_, frames, frameColour) => {
    const file = writeGif(size, palette, frames);
    expect(await probe(file, limits)).toMatchObject(size);
    const expected = rgbCells.map((_cell, n) => (n === 5 || n === 6 ? frameColour : white));
    expectColours(await decodeCells(file), expected);
    expectColours(await decodeCells(file, true), expected);
  });

  test('is cropped to the screen if the frame extends beyond it', async () => {
    const left = 24;
    const indices = Array(size.width * size.height).fill(0);
    const file = writeGif(size, palette, [{ left, top: 0, ...size, indices }]);
    expect(await probe(file, limits)).toMatchObject(size);
    expectColours(
      await decodeCells(file),
      rgbCells.map((_, n) => (n % 4 < 2 ? white : [200, 30, 30])),
    );
    for (const top of [0, 60_000]) {
      const invisibleFrame = writeGif(size, palette, [{ ...frame, left: 60_000, top }]);
      expect(await probe(invisibleFrame, limits)).toMatchObject(size);
      expectColours(
        await decodeCells(invisibleFrame),
        rgbCells.map(() => white),
      );
    }
  });

  test('is as large as the frame if the screen is smaller', async () => {
    const screen = { width: 2, height: 2 };
    const indices = Array(size.width * size.height).fill(0);
    const file = writeGif(screen, palette, [{ left: 0, top: 0, ...size, indices }]);
    expect(await probe(file, limits)).toMatchObject(size);
    expectColours(
      await decodeCells(file),
      rgbCells.map(() => [200, 30, 30]),
    );
  });
});
