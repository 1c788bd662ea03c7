import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { renderVariants } from '../../../src/imaging/renditions/derive-renditions.ts';
import {
  type FocalPoint,
  makePreset,
  type PresetOptions,
  type RenditionFormat,
} from '../../../src/model/preset.ts';
import { drawProduct } from '../fixtures/products.ts';
import { limits } from '../fixtures/pictures.ts';

type Options = Partial<Omit<PresetOptions, 'name' | 'width' | 'height'>>;
type Colour = readonly number[];

/** Decoded pixels of a rendition. */
interface Decoded {
  readonly width: number;
  readonly height: number;
  readonly hasAlpha: boolean;
  /** Returns red, green, blue and alpha. */
  readonly at: (x: number, y: number) => number[];
}

async function decode(bytes: Uint8Array): Promise<Decoded> {
  const { hasAlpha } = await sharp(bytes).metadata();
  const { data, info } = await sharp(bytes).ensureAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number) => {
    const offset = (y * info.width + x) * 4;
    return [...data.subarray(offset, offset + 4)];
  };
  return { width: info.width, height: info.height, hasAlpha, at };
}

async function render(
  bytes: Buffer,
  [width, height]: readonly [number, number],
  options: Options & { density?: number; format?: RenditionFormat; focalPoint?: FocalPoint },
): Promise<Decoded> {
  const { density = 1, format = 'png', focalPoint = null, ...presetOptions } = options;
  const preset = makePreset({ name: 'tested', width, height, ...presetOptions });
  const { renditions } = await renderVariants(bytes, limits, [{ preset, format, density }], focalPoint);
  return decode(renditions[0]!.data);
}

const [red, green, blue, yellow, white] = [
  [200, 20, 20, 255],
  [20, 160, 40, 255],
  [20, 40, 200, 255],
  [230, 210, 30, 255],
  [255, 255, 255, 255],
];
const clear = [0, 0, 0, 0];

/** Draws a picture of three vertical stripes of equal width: red, green and blue. */
async function drawStripes(width: number, height: number): Promise<Buffer> {
  return drawColumns(width, height, [red, green, blue]);
}

async function drawColumns(width: number, height: number, colours: readonly Colour[]): Promise<Buffer> {
  const data = Buffer.alloc(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      data.set(colours[Math.floor((x * colours.length) / width)]!, (y * width + x) * 4);
  }
  return sharp(data, { raw: { width, height, channels: 4 } })
    .png()
    .toBuffer();
}

/** Expects each channel to be within the tolerance. Colours of clear pixels do not matter. */
function expectColour(actual: readonly number[], expected: Colour, tolerance = 3): void {
  const channels = expected[3] === 0 ? [3] : [0, 1, 2, 3];
  const deviation = Math.max(...channels.map((n) => Math.abs((actual[n] ?? 0) - (expected[n] ?? 0))));
  expect(deviation, `${actual.join()} instead of ${expected.join()}`).toBeLessThanOrEqual(tolerance);
}

describe('pad', () => {
  test.each<[string, Colour]>([
    ['#ffffff', white],
    ['#1428c8', blue],
    ['transparent', clear],
  ])('centres the picture on %s', async (background, colour) => {
    const { width, height, at, hasAlpha } = await render(await drawStripes(600, 200), [301, 201], {
      fit: 'pad',
      background,
    });
    // The picture is 301 × 100 pixels large, 50 pixels below the top.
    expect([width, height]).toEqual([301, 201]);
    expect(hasAlpha).toBe(background === 'transparent');
    for (const y of [0, 49, 150, 200]) expectColour(at(150, y), colour);
    for (const y of [51, 148]) expectColour(at(150, y), green);
    expectColour(at(2, 100), red);
    expectColour(at(298, 100), blue);
  });

  test('keeps a small picture small in the middle, and enlarges it on request', async () => {
    const small = await drawStripes(60, 40);
    const kept = await render(small, [301, 201], { fit: 'pad', density: 2 });
    expect([kept.width, kept.height]).toEqual([301, 201]);
    expectColour(kept.at(120, 80), red);
    expectColour(kept.at(119, 100), white);
    expectColour(kept.at(179, 119), blue);
    expectColour(kept.at(150, 120), white);
    const enlarged = await render(small, [301, 201], { fit: 'pad', enlarge: true });
    expectColour(enlarged.at(3, 100), red);
    expectColour(enlarged.at(150, 3), green);
    expectColour(enlarged.at(297, 197), blue);
  });

  test('uses the density at which the picture fills the box', async () => {
    const { width, height, at } = await render(await drawStripes(450, 150), [300, 200], {
      fit: 'pad',
      density: 4,
    });
    expect([width, height]).toEqual([450, 300]);
    expectColour(at(225, 74), white);
    expectColour(at(225, 76), green);
  });

  test.each([
    [1, 900],
    [900, 1],
  ])('shows a strip of %i × %i pixels', async (stripWidth, stripHeight) => {
    const strip = await drawColumns(stripWidth, stripHeight, [blue]);
    const { at } = await render(strip, [301, 201], { fit: 'pad' });
    expectColour(at(150, 100), blue);
    expectColour(stripWidth === 1 ? at(149, 100) : at(150, 99), white);
    expectColour(stripWidth === 1 ? at(151, 100) : at(150, 101), white);
  });
});

describe('cover', () => {
  test('keeps the middle', async () => {
    const { width, height, at } = await render(await drawStripes(900, 300), [150, 149], { fit: 'cover' });
    expect([width, height]).toEqual([150, 149]);
    expectColour(at(25, 74), green);
    expectColour(at(124, 74), green);
  });

  test.each<[number, Colour, number]>([
    [0, red, 20],
    [0.5, green, 75],
    [0.95, blue, 130],
  ])('keeps the focal point %d in view', async (x, colour, column) => {
    const { at } = await render(await drawStripes(900, 300), [150, 150], {
      fit: 'cover',
      focalPoint: { x, y: 0.5 },
    });
    expectColour(at(column, 75), colour);
    // The focal point is in the middle unless it is too close to an edge.
    if (x === 0.5) expectColour(at(75, 75), green);
  });

  test.each(['attention', 'entropy'] as const)('finds the interesting part by %s', async (focus) => {
    const data = Buffer.alloc(1200 * 300 * 3, 238);
    for (let y = 0; y < 300; y++) {
      for (let x = 900; x < 1200; x++) {
        if (((x >> 3) * 7 + (y >> 3) * 13) % 5 < 2) data.set([208, 16, 32], (y * 1200 + x) * 3);
      }
    }
    const picture = await sharp(data, { raw: { width: 1200, height: 300, channels: 3 } })
      .png()
      .toBuffer();
    const { width, at } = await render(picture, [300, 300], { fit: 'cover', focus });
    expect(width).toBe(300);
    const middle = Array.from({ length: 300 }, (_, x) => at(x, 150)).filter(([, g = 0]) => g < 120);
    expect(middle.length).toBeGreaterThan(60);
  });

  test('is smaller than the box if the picture is, and fills it on request', async () => {
    const small = await drawStripes(90, 30);
    expect(await render(small, [300, 200], { fit: 'cover' })).toMatchObject({ width: 45, height: 30 });
    const enlarged = await render(small, [300, 200], { fit: 'cover', enlarge: true });
    expect(enlarged).toMatchObject({ width: 300, height: 200 });
    expectColour(enlarged.at(150, 100), green);
  });

  test('enlarges a very long strip in little memory', async () => {
    const strip = await drawColumns(16_000, 1, [red, green, blue]);
    const { width, at } = await render(strip, [300, 200], { fit: 'cover', enlarge: true });
    expect(width).toBe(300);
    expectColour(at(150, 100), green);
  });
});

describe('inside', () => {
  test.each([1, 2, 3])('makes the picture %i times as large', async (density) => {
    const { width, height, at } = await render(await drawStripes(900, 300), [101, 101], { density });
    expect([width, height]).toEqual([101 * density, Math.round((101 * density) / 3)]);
    expectColour(at(50 * density, 15 * density), green);
  });

  test('enlarges on request', async () => {
    const enlarged = await render(await drawStripes(90, 30), [300, 300], { enlarge: true });
    expect(enlarged).toMatchObject({ width: 300, height: 100 });
  });
});

describe('trim', () => {
  /** A yellow square of 200 × 200 pixels in a border. */
  async function drawSquare(border: Colour): Promise<Buffer> {
    const data = Buffer.alloc(700 * 500 * 4, Buffer.from(border));
    for (let y = 60; y < 260; y++) for (let x = 440; x < 640; x++) data.set(yellow, (y * 700 + x) * 4);
    return sharp(data, { raw: { width: 700, height: 500, channels: 4 } })
      .png()
      .toBuffer();
  }

  test.each<[string, Colour, string, Colour]>([
    ['plain', [250, 250, 250, 255], '#ffffff', white],
    ['clear', clear, '#ffffff', white],
    ['clear', clear, 'transparent', clear],
    ['plain', [250, 250, 250, 255], '#1428c8', blue],
  ])('removes a %s border %o before padding with %s', async (_, border, background, colour) => {
    const { width, at } = await render(await drawSquare(border), [201, 101], {
      fit: 'pad',
      trim: { tolerance: 10, margin: 10 },
      background,
    });
    expect(width).toBe(201);
    // The content is 81 pixels high and wide: 80 % of the box's height.
    for (const [x, y] of [
      [61, 50],
      [139, 50],
      [100, 11],
      [100, 89],
    ] as const)
      expectColour(at(x, y), yellow, 6);
    for (const [x, y] of [
      [58, 50],
      [142, 50],
      [100, 8],
      [100, 92],
    ] as const)
      expectColour(at(x, y), colour, 6);
  });

  test('decodes a small part of a large picture again, so that it is sharp', async () => {
    const data = Buffer.alloc(3000 * 3000 * 3, 255);
    // Columns of one pixel, which would be grey if they came from a smaller copy of the picture.
    for (let y = 1200; y < 1500; y++) {
      for (let x = 1200; x < 1500; x += 2) data.fill(0, (y * 3000 + x) * 3, (y * 3000 + x) * 3 + 3);
    }
    const picture = await sharp(data, { raw: { width: 3000, height: 3000, channels: 3 } })
      .png()
      .toBuffer();
    const { width, at } = await render(picture, [400, 400], { trim: { tolerance: 10, margin: 0 } });
    expect(width).toBeLessThanOrEqual(306);
    const row = Array.from({ length: 100 }, (_, x) => at(100 + x, 150)[0]!);
    expect(Math.max(...row) - Math.min(...row)).toBeGreaterThan(240);
  });

  test('fills the rest of the box inside', async () => {
    const trimmed = await render(await drawSquare(white), [100, 100], { trim: { tolerance: 10, margin: 5 } });
    expect(trimmed).toMatchObject({ width: 100, height: 100 });
    expectColour(trimmed.at(3, 50), white, 8);
    expectColour(trimmed.at(7, 50), yellow, 8);
  });

  test('leaves a picture without a border whole', async () => {
    const stripes = await drawStripes(600, 200);
    expect(await render(stripes, [300, 300], { trim: { tolerance: 10, margin: 0 } })).toMatchObject({
      width: 300,
      height: 100,
    });
  });

  test('keeps the focal point in view', async () => {
    const bordered = await sharp(await drawStripes(900, 300))
      .extend({ top: 50, bottom: 150, left: 400, right: 0, background: '#ffffff' })
      .png()
      .toBuffer();
    // In the blue stripe, which is the last quarter of the picture.
    const { at } = await render(bordered, [100, 100], {
      fit: 'cover',
      trim: { tolerance: 10, margin: 0 },
      focalPoint: { x: 0.95, y: 0.4 },
    });
    expectColour(at(50, 50), blue);
  });
});

test('turns pictures upright before it places them', async () => {
  const stripes = await drawStripes(900, 300);
  const turned = await sharp(stripes)
    .flatten()
    .rotate(-90)
    .jpeg({ quality: 100 })
    .withMetadata({ orientation: 6 })
    .toBuffer();
  const { at, width, height } = await render(turned, [300, 200], { fit: 'pad', background: '#e6d21e' });
  expect([width, height]).toEqual([300, 200]);
  expectColour(at(150, 40), yellow);
  expectColour(at(40, 100), red, 8);
  expectColour(at(260, 100), blue, 8);
  const cropped = await render(turned, [100, 100], { fit: 'cover', focalPoint: { x: 1, y: 0 } });
  expectColour(cropped.at(50, 50), blue, 8);
});

test('makes the same pixels for all variants of a task as for each of them alone', async () => {
  const product = await drawProduct();
  const presets = [
    makePreset({ name: 'pad', width: 200, height: 200, fit: 'pad' }),
    makePreset({ name: 'cover', width: 150, height: 90, fit: 'cover' }),
    makePreset({ name: 'clear', width: 120, height: 120, fit: 'pad', background: 'transparent' }),
  ];
  const variants = presets.map((preset) => ({ preset, format: 'png', density: 1 }) as const);
  const together = await renderVariants(product, limits, variants, null);
  for (const [index, variant] of variants.entries()) {
    const { renditions } = await renderVariants(product, limits, [variant], null);
    const [alone, shared] = [
      await decode(renditions[0]!.data),
      await decode(together.renditions[index]!.data),
    ];
    expect([shared.width, shared.height]).toEqual([alone.width, alone.height]);
    for (const x of [10, 60, 100]) expectColour(shared.at(x, 45), alone.at(x, 45), 12);
  }
});
