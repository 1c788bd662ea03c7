import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import type { Raster } from '../../../src/imaging/decoding/pixels.ts';
import type { Rectangle } from '../../../src/imaging/geometry.ts';
import { findContent } from '../../../src/imaging/renditions/trim.ts';
import { gradient } from '../fixtures/pictures.ts';
import { drawProduct } from '../fixtures/products.ts';

type Colour = readonly number[];

const [width, height] = [60, 40];

/** Draws rectangles of plain colours on a plain background. */
function draw(background: Colour, ...shapes: ReadonlyArray<readonly [Rectangle, Colour]>): Raster {
  const channels = background.length as 3 | 4;
  const data = Buffer.alloc(width * height * channels, Buffer.from(background));
  for (const [area, colour] of shapes) {
    for (let y = area.top; y < area.top + area.height; y++) {
      for (let x = area.left; x < area.left + area.width; x++) data.set(colour, (y * width + x) * channels);
    }
  }
  return { width, height, channels, data };
}

const whole = { left: 0, top: 0, width, height };
const area = { left: 11, top: 7, width: 20, height: 13 };
const [white, red, nearlyWhite] = [
  [255, 255, 255],
  [200, 0, 0],
  [248, 250, 249],
];

describe('finds the content inside', () => {
  test.each([
    ['a white border', draw(white, [area, red])],
    ['a black border', draw([0, 0, 0], [area, red])],
    ['a border of any colour', draw([30, 90, 200], [area, red])],
    ['a clear border', draw([0, 0, 0, 0], [area, [...red, 255]])],
    ['a clear border of which some pixels have a colour', draw([90, 0, 0, 3], [area, [255, 255, 255, 255]])],
    ['a plain border of an opaque picture with alpha', draw([...white, 255], [area, [...red, 255]])],
    ['an uneven border', draw(white, [{ ...whole, height: 3 }, nearlyWhite], [area, red])],
  ])('%s', (_, raster) => {
    expect(findContent(raster, 10)).toEqual(area);
  });

  test('a border on two sides only', () => {
    const column = { left: 20, top: 0, width: 9, height };
    expect(findContent(draw(white, [column, red]), 10)).toEqual(column);
  });

  test('a border next to a single pixel and a thin line', () => {
    const line = { left: 30, top: 5, width: 1, height: 20 };
    expect(findContent(draw(white, [line, red]), 10)).toEqual(line);
    const pixel = { left: 59, top: 20, width: 1, height: 1 };
    expect(findContent(draw(white, [pixel, red]), 10)).toEqual(pixel);
  });
});

test('treats pixels as border up to the tolerance', () => {
  const faint = draw(white, [area, [245, 255, 255]]);
  expect(findContent(faint, 10)).toEqual(whole);
  expect(findContent(faint, 9)).toEqual(area);
  expect(findContent(draw(white, [area, [254, 255, 255]]), 0)).toEqual(area);
});

describe('returns the whole picture', () => {
  test.each([
    ['if it is plain', draw(white)],
    ['if it is clear', draw([0, 0, 0, 0])],
    ['if it is opaque and has no border', draw([...white, 255], [whole, [...red, 255]])],
    ['if one corner belongs to the content', draw(white, [{ left: 0, top: 0, width: 30, height: 20 }, red])],
    ['if it has one pixel', { width: 1, height: 1, channels: 3, data: Buffer.from(red) } as const],
  ])('%s', (_, raster) => {
    expect(findContent(raster, 10)).toMatchObject({ left: 0, top: 0, width: raster.width });
  });

  test('of a photograph without a border', () => {
    const photograph: Raster = { width: 300, height: 200, channels: 3, data: gradient(300, 200) };
    expect(findContent(photograph, 10)).toEqual({ left: 0, top: 0, width: 300, height: 200 });
  });

  test('of a photograph whose corners have the same colour by chance', () => {
    // A dark vignette with noise, as in a photograph at night.
    const data = Buffer.alloc(300 * 200 * 3);
    for (let y = 0; y < 200; y++) {
      for (let x = 0; x < 300; x++) {
        const distance = Math.hypot((x - 150) / 150, (y - 100) / 100);
        const noise = ((x * 7919 + y * 104_729) % 41) - 20;
        data.fill(
          Math.max(0, Math.min(255, 190 - 110 * distance + noise)),
          (y * 300 + x) * 3,
          (y * 300 + x) * 3 + 3,
        );
      }
    }
    const area300 = { left: 0, top: 0, width: 300, height: 200 };
    expect(findContent({ width: 300, height: 200, channels: 3, data }, 10)).toEqual(area300);
  });
});

test('finds a product in a compressed photograph', async () => {
  const { data, info } = await sharp(await drawProduct({ body: [60, 90, 160] }))
    .jpeg({ quality: 60 })
    .toBuffer()
    .then((jpeg) => sharp(jpeg).removeAlpha().raw().toBuffer({ resolveWithObject: true }));
  const found = findContent({ width: info.width, height: info.height, channels: 3, data }, 10);
  expect(found.width).toBeLessThan(info.width * 0.9);
  expect(found.height).toBeLessThan(info.height * 0.95);
  expect(found.left).toBeGreaterThan(10);
});
