import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { decodePicture, decodeWithAlpha } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { bmpFile } from '../fixtures/bmp-files.ts';
import { limits } from '../fixtures/pictures.ts';
import { writeGif } from '../support/write-gif.ts';
import { type PngInput, writePng } from '../support/write-png.ts';

const size = { width: 8, height: 4 };
const pixelCount = size.width * size.height;

async function decode(bytes: Uint8Array, decodedSize = size) {
  return decodeWithAlpha(bytes, await probe(bytes, limits), decodedSize);
}

/** Writes a PNG whose left half is opaque and whose right half has the given samples. */
function writeHalves(
  depth: PngInput['depth'],
  colorType: PngInput['colorType'],
  left: readonly number[],
  right: readonly number[],
  chunks: PngInput['chunks'] = [],
): Buffer {
  const row = Array.from({ length: size.width }, (_, x) => (x < size.width / 2 ? left : right)).flat();
  const samples = Array.from({ length: size.height }, () => row).flat();
  return writePng({ ...size, depth, colorType, samples, chunks });
}

const palette = ['PLTE', Buffer.from([200, 20, 40, 10, 60, 200])] as const;
const paletteAlpha = ['tRNS', Buffer.of(255, 64)] as const;
const gamma = ['gAMA', Buffer.from([0, 0, 0xb1, 0x8f])] as const;

describe('keeps the alpha channel of a PNG', () => {
  test.each<[string, Buffer, number[], number[]]>([
    [
      'in RGB with 8 bits',
      writeHalves(8, 6, [200, 20, 40, 255], [10, 60, 200, 64]),
      [200, 20, 40],
      [10, 60, 200],
    ],
    [
      'in RGB with 16 bits',
      writeHalves(16, 6, [51_400, 5140, 10_280, 65_535], [2570, 15_420, 51_400, 16_448]),
      [200, 20, 40],
      [10, 60, 200],
    ],
    ['in grey with 8 bits', writeHalves(8, 4, [90, 255], [180, 64]), [90, 90, 90], [180, 180, 180]],
    [
      'in grey with 16 bits',
      writeHalves(16, 4, [23_130, 65_535], [46_260, 16_448]),
      [90, 90, 90],
      [180, 180, 180],
    ],
    ...([1, 2, 4, 8] as const).map((depth): [string, Buffer, number[], number[]] => [
      `in a palette with ${depth} bits`,
      writeHalves(depth, 3, [0], [1], [palette, paletteAlpha]),
      [200, 20, 40],
      [10, 60, 200],
    ]),
    [
      'in RGB with a declared gamma',
      writeHalves(8, 6, [255, 0, 0, 255], [0, 0, 255, 64], [gamma]),
      [255, 0, 0],
      [0, 0, 255],
    ],
  ])('%s', async (_, file, left, right) => {
    const { channels, data } = await decode(file);
    expect(channels).toBe(4);
    const at = (x: number) => [...data.subarray((8 + x) * 4, (8 + x) * 4 + 4)];
    for (const [n, value] of [...left, 255].entries())
      expect(Math.abs(at(1)[n]! - value)).toBeLessThanOrEqual(1);
    for (const [n, value] of [...right, 64].entries())
      expect(Math.abs(at(6)[n]! - value)).toBeLessThanOrEqual(1);
  });

  test.each([
    ['grey with 1 bit', writeHalves(1, 0, [1], [0], [['tRNS', Buffer.of(0, 0)]])],
    [
      'RGB with 8 bits',
      writeHalves(8, 2, [255, 255, 255], [1, 2, 3], [['tRNS', Buffer.of(0, 1, 0, 2, 0, 3)]]),
    ],
    [
      'RGB with 16 bits',
      writeHalves(16, 2, [65_535, 65_535, 65_535], [1, 2, 3], [['tRNS', Buffer.of(0, 1, 0, 2, 0, 3)]]),
    ],
  ])('as a transparent colour in %s', async (_, file) => {
    const { channels, data } = await decode(file);
    expect(channels).toBe(4);
    expect([...data.subarray(0, 4)]).toEqual([255, 255, 255, 255]);
    expect(data[7 * 4 + 3]).toBe(0);
  });
});

test('keeps the alpha channel of a BMP', async () => {
  const pixels = Buffer.from(Array.from({ length: pixelCount }, () => [40, 20, 200, 128]).flat());
  const file = bmpFile({
    ...size,
    headerBytes: 108,
    compression: 3,
    bits: 32,
    pixels,
    masks: [0xff0000, 0xff00, 0xff, 0xff000000],
  });
  const { data } = await decode(file);
  expect([...data.subarray(0, 4)]).toEqual([200, 20, 40, 128]);
});

test.each(['webp', 'tiff', 'avif'] as const)('keeps the alpha channel of a %s', async (format) => {
  const background = { r: 200, g: 20, b: 40, alpha: 0.5 };
  const options = format === 'tiff' ? { compression: 'lzw' as const } : { lossless: true };
  const file = await sharp({ create: { width: 64, height: 64, channels: 4, background } })
    .toFormat(format, options)
    .toBuffer();
  const { channels, data } = await decode(file, { width: 64, height: 64 });
  expect(channels).toBe(4);
  for (const [n, value] of [200, 20, 40, 128].entries())
    expect(Math.abs(data[n]! - value)).toBeLessThanOrEqual(2);
});

test('leaves the part of the screen clear that the first frame of a GIF does not cover', async () => {
  const frame = { left: 4, top: 0, width: 4, height: 4, indices: Array<number>(16).fill(0) };
  const { channels, data } = await decode(writeGif(size, [[200, 20, 40]], [frame]));
  expect(channels).toBe(4);
  expect(data[3]).toBe(0);
  expect([...data.subarray(6 * 4, 7 * 4)]).toEqual([200, 20, 40, 255]);
});

test('returns three channels for an opaque picture', async () => {
  const file = await sharp({ create: { ...size, channels: 3, background: 'red' } })
    .jpeg()
    .toBuffer();
  expect(await decode(file)).toMatchObject({ channels: 3 });
});

test('does not mix the colour of clear pixels into edges when it resizes', async () => {
  // A white picture on clear black: without premultiplication, edges would be grey.
  const side = 64;
  const data = Buffer.alloc(side * side * 4);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < 31; x++) data.fill(255, (y * side + x) * 4, (y * side + x) * 4 + 4);
  const file = await sharp(data, { raw: { width: side, height: side, channels: 4 } })
    .png()
    .toBuffer();
  const { data: small } = await decode(file, { width: 20, height: 20 });
  for (let index = 0; index < small.length; index += 4) {
    if (small[index + 3]! > 8) expect(small[index]!).toBeGreaterThan(250);
  }
  expect(small.filter((value, index) => index % 4 === 3 && value > 20 && value < 235).length).toBeGreaterThan(
    0,
  );
});

test('flattens to the same colours as before if transparency is not kept', async () => {
  const file = writeHalves(8, 6, [200, 20, 40, 255], [10, 60, 200, 64]);
  const { data } = await decodePicture(file, await probe(file, limits), size);
  expect([...data.subarray(0, 3)]).toEqual([200, 20, 40]);
  // 255 + (value − 255) × 64 ÷ 255
  for (const [n, value] of [194, 206, 241].entries())
    expect(Math.abs(data[7 * 3 + n]! - value)).toBeLessThanOrEqual(1);
});
