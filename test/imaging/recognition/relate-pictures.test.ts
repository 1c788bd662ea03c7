import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { relatePictures } from '../../../src/imaging/recognition/relate-pictures.ts';
import type { Relation } from '../../../src/model/relation.ts';
import { drawLabelledPicture } from '../../support/inner/labelled-pictures.ts';
import { limits } from '../fixtures/pictures.ts';
import { drawProduct, type ProductLook } from '../fixtures/products.ts';

const [width, height] = [600, 750];

async function relate(newer: Buffer, older: Buffer): Promise<Relation | null> {
  const [relation = null] = await relatePictures(newer, limits, [older]);
  return relation;
}

type Colour = readonly [number, number, number];

/** Returns the colour of a point, in pixels; `undefined` where the picture stays as it is. */
type Paint = (x: number, y: number) => Colour | undefined;

/** Paints over a picture of 600 × 750 pixels. */
async function paintOver(picture: Buffer, paint: Paint): Promise<Buffer> {
  const data = await sharp(picture).removeAlpha().raw().toBuffer();
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = paint(x, y);
      if (colour) data.set(colour, (y * width + x) * 3);
    }
  }
  return sharp(data, { raw: { width, height, channels: 3 } })
    .png()
    .toBuffer();
}

const rectangle =
  (left: number, top: number, columns: number, rows: number, colour: Colour): Paint =>
  (x, y) =>
    x >= left && x < left + columns && y >= top && y < top + rows ? colour : undefined;
const circle =
  (centreX: number, centreY: number, radius: number, colour: Colour): Paint =>
  (x, y) =>
    Math.hypot(x - centreX, y - centreY) < radius ? colour : undefined;

/** Draws a shirt over boards beside a box: nothing is symmetric, and the content reaches the edges of the picture. */
async function drawScene(look: Partial<ProductLook> = {}): Promise<Buffer> {
  return paintOver(await drawProduct(look), (x, y) => {
    if (x >= 470 && y > 120 && y < 330) return [200, 150, 100];
    if (x + 2 * y < 180) return [150, 165, 185];
    const board = Math.floor(x / 44);
    return y > 600 + board * 4 && x % 44 < 30 ? [120 + board * 7, 110, 150 - board * 6] : undefined;
  });
}

const shirt = await drawProduct();
const scene = await drawScene();

const border = (size: number, background: string) => (picture: Sharp) =>
  picture.extend({ left: size, right: size, top: size, bottom: size, background });
const crop = (left: number, top: number, right: number, bottom: number) => (picture: Sharp) =>
  picture.extract({ left, top, width: width - left - right, height: height - top - bottom });

describe('a copy', () => {
  test.each<[string, (picture: Sharp) => Sharp, Partial<Relation>]>([
    ['in another format', (picture) => picture.webp({ lossless: true }), { tier: 'identical', edit: null }],
    ['JPEG with quality 40', (picture) => picture.jpeg({ quality: 40 }), { tier: 'reencoded', edit: null }],
    ['WebP with quality 50', (picture) => picture.webp({ quality: 50 }), { tier: 'reencoded' }],
    ['half the size', (picture) => picture.resize(300).jpeg(), { tier: 'reencoded' }],
    ['a quarter of the size', (picture) => picture.resize(150).jpeg(), { tier: 'reencoded' }],
    ['blurred', (picture) => picture.blur(1.5).jpeg(), { tier: 'reencoded' }],
    ['sharpened', (picture) => picture.sharpen({ sigma: 0.8 }).jpeg(), { tier: 'reencoded' }],
    ['brighter', (picture) => picture.linear(1.12, 0).jpeg(), { tier: 'edited', edit: 'brightness' }],
    ['darker', (picture) => picture.linear(0.88, 0).jpeg(), { tier: 'edited', edit: 'brightness' }],
    ['with another gamma', (picture) => picture.gamma(1.2, 1).jpeg(), { tier: 'edited', edit: 'brightness' }],
    ['with a white border', border(90, '#fff'), { tier: 'edited', edit: 'padded' }],
    ['with a grey border', border(50, '#bbb'), { tier: 'edited', edit: 'padded' }],
    ['mirrored', (picture) => picture.flop().jpeg(), { tier: 'edited', edit: 'mirrored' }],
    ['cropped on all sides', crop(30, 37, 30, 37), { tier: 'edited', edit: 'cropped' }],
    ['cropped on two sides', crop(24, 30, 0, 0), { tier: 'edited', edit: 'cropped' }],
    ['cropped by 8 % a side', crop(48, 60, 48, 60), { tier: 'possible', edit: 'cropped' }],
  ])('is recognised: %s', async (_, edit, expected) => {
    const copy = await edit(sharp(scene)).toBuffer();
    expect(await relate(copy, scene)).toMatchObject({ box: null, ...expected });
  });

  test('is recognised if several edits were made', async () => {
    const copy = await border(40, '#fff')(sharp(scene).flop()).linear(0.9, 0).jpeg().toBuffer();
    expect(await relate(copy, scene)).toMatchObject({ tier: 'edited', edit: 'mirrored+padded+brightness' });
  });

  test('is recognised if it is the older picture', async () => {
    const padded = await border(90, '#fff')(sharp(scene)).jpeg().toBuffer();
    expect(await relate(scene, padded)).toMatchObject({ tier: 'edited', edit: 'trimmed' });
  });

  test.each([
    ['a rectangle at the top', rectangle(18, 22, 132, 75, [221, 34, 34]), 0.03, 0.03],
    ['a circle at the bottom', circle(535, 685, 55, [255, 204, 0]), 0.8, 0.84],
    ['a bar at the edge', rectangle(0, 675, 210, 75, [0, 0, 0]), 0, 0.9],
  ])('is recognised under a badge: %s', async (_, badge, left, top) => {
    const relation = await relate(await paintOver(shirt, badge), shirt);
    expect(relation).toMatchObject({ tier: 'edited', edit: 'badge' });
    expect(relation?.box?.left).toBeCloseTo(left, 1);
    expect(relation?.box?.top).toBeCloseTo(top, 1);
  });

  test('is left to a person if something was added in its middle', async () => {
    const logo: Paint = (x, y) =>
      circle(300, 400, 20, [30, 30, 30])(x, y) ?? circle(300, 400, 40, [238, 238, 238])(x, y);
    const relation = await relate(await paintOver(shirt, logo), shirt);
    expect(['possible', 'variant']).toContain(relation?.tier);
    expect(relation?.box?.left).toBeCloseTo(0.43, 1);
  });
});

describe('a variant', () => {
  test.each<[string, Partial<ProductLook>]>([
    ['another colour', { body: [170, 70, 60] }],
    ['a muted colour', { body: [92, 148, 130] }],
    ['a lighter product on the same background', { body: [120, 205, 168] }],
    ['another stripe, on 1 % of the picture', { stripe: [150, 40, 40] }],
  ])('is told by its colours: %s', async (_, look) => {
    for (const edit of [
      (picture: Sharp) => picture,
      crop(18, 22, 18, 22),
      (picture: Sharp) => picture.flop(),
    ]) {
      const variant = await edit(sharp(await drawScene(look)))
        .jpeg({ quality: 85 })
        .toBuffer();
      expect(await relate(variant, scene)).toMatchObject({
        tier: 'variant',
        reason: 'the same shapes in another colour',
      });
    }
  });

  test('is told by one digit', async () => {
    const draw = (text: string) =>
      drawLabelledPicture({ text, digitHeight: 22 }).jpeg({ quality: 85 }).toBuffer();
    const relation = await relate(await draw('400'), await draw('200'));
    expect(['variant', 'possible']).toContain(relation?.tier);
    expect(relation?.box?.left).toBeCloseTo(0.24, 1);
    expect(relation?.box?.width).toBeLessThan(0.1);
  });
});

test('different products are not related', async () => {
  expect(await relate(await drawProduct({ shape: 'vase' }), shirt)).toBeNull();
});

test('plain pictures of different colours are not the same', async () => {
  const swatch = (background: string) =>
    sharp({ create: { width: 300, height: 300, channels: 3, background } })
      .png()
      .toBuffer();
  expect((await relate(await swatch('#c33'), await swatch('#3c3')))?.tier).not.toMatch(
    /identical|reencoded|edited/,
  );
});

test('damaged pictures among the others are not related', async () => {
  expect(await relatePictures(scene, limits, [Buffer.from('not a picture'), scene])).toMatchObject([
    null,
    { tier: 'identical' },
  ]);
});
