import { expect, test } from 'vitest';
import { offCentre, productSpan } from '../../../src/model/intake-facts.ts';
import { type Colour, encoders, measure, measurePicture, paint, white } from '../fixtures/constructed.ts';

const blue: Colour = [40, 70, 150];
/** Shapes with their area and box, as fractions of the picture. */
const shapes = {
  rectangle: {
    covers: (x: number, y: number) => x > 0.2 && x < 0.7 && y > 0.1 && y < 0.9,
    fill: 0.4,
    box: { left: 0.2, top: 0.1, width: 0.5, height: 0.8 },
  },
  ellipse: {
    covers: (x: number, y: number) => ((x - 0.55) / 0.35) ** 2 + ((y - 0.5) / 0.45) ** 2 < 1,
    fill: Math.PI * 0.35 * 0.45,
    box: { left: 0.2, top: 0.05, width: 0.7, height: 0.9 },
  },
  triangle: {
    covers: (x: number, y: number) => y > 0.2 && y < 0.8 && Math.abs(x - 0.5) < (y - 0.2) / 2,
    fill: 0.18,
    box: { left: 0.2, top: 0.2, width: 0.6, height: 0.6 },
  },
};
const sizes = [
  [120, 120],
  [400, 640],
  [1000, 800],
  [1300, 1700],
] as const;

const cases = Object.entries(shapes).flatMap(([name, shape]) =>
  sizes.map(([width, height]) => ({ name, width, height, ...shape })),
);

test.each(cases)(
  'a $name of $width × $height covers its area',
  async ({ width, height, covers, fill, box }) => {
    const facts = await measurePicture(paint(width, height, (x, y) => (covers(x, y) ? blue : white)));
    expect(Math.abs((facts.fill ?? 0) - fill)).toBeLessThan(0.015);
    for (const side of ['left', 'top', 'width', 'height'] as const)
      expect(Math.abs((facts.product?.[side] ?? 0) - box[side])).toBeLessThan(0.02);
  },
);

test.each(Object.keys(encoders))('the area is the same in %s', async (format) => {
  for (const background of [white, [205, 200, 190], [12, 12, 14]] as const) {
    const picture = paint(600, 500, (x, y) => (shapes.ellipse.covers(x, y) ? [190, 40, 60] : background));
    const { fill, background: found } = await measure((await encoders[format]?.(picture)) ?? Buffer.alloc(0));
    expect(Math.abs((fill ?? 0) - shapes.ellipse.fill)).toBeLessThan(0.03);
    expect(found.kind).toBe(background === white ? 'white' : 'plain');
  }
});

test('a pale product on white is found, and enclosed white belongs to it', async () => {
  const cream = await measurePicture(
    paint(500, 500, (x, y) => (shapes.rectangle.covers(x, y) ? [246, 240, 226] : white)),
  );
  expect(Math.abs((cream.fill ?? 0) - 0.4)).toBeLessThan(0.015);
  const isLabel = (x: number, y: number) => x > 0.3 && x < 0.6 && y > 0.3 && y < 0.7;
  const labelled = await measurePicture(
    paint(500, 500, (x, y) => (shapes.rectangle.covers(x, y) && !isLabel(x, y) ? blue : white)),
  );
  expect(Math.abs((labelled.fill ?? 0) - 0.4)).toBeLessThan(0.015);
});

test('the position is that of the product, also at an edge', async () => {
  const { product, fill, background } = await measurePicture(
    paint(800, 800, (x, y) => (x > 0.5 && x < 0.7 && y > 0.6 ? blue : white)),
  );
  expect(background.kind).toBe('white');
  expect(Math.abs((fill ?? 0) - 0.08)).toBeLessThan(0.01);
  expect(product && productSpan(product)).toBeCloseTo(0.4, 1);
  expect(product && offCentre(product)).toBeCloseTo(0.3, 1);
});

test('nothing in front of a background, and no background, are told apart', async () => {
  const empty = await measurePicture(paint(300, 300, () => [80, 120, 90]));
  expect(empty).toMatchObject({ fill: 0, product: null, background: { kind: 'plain', color: '#50785a' } });
  const scene = await measurePicture(
    paint(300, 300, (x, y) => [Math.round(255 * x), Math.round(255 * y), Math.round(255 * (1 - x))]),
  );
  expect(scene).toMatchObject({ fill: null, product: null, background: { kind: 'mixed' } });
});

test.each(['png', 'jpeg 95', 'jpeg 75', 'webp 80'])(
  'clipping and lightness are known in %s',
  async (format) => {
    // Of the product, 30 % are black, 20 % white, and the rest is a grey of L* 53.6.
    const picture = paint(700, 700, (x, y) => {
      if (x < 0.1 || x >= 0.9 || y < 0.1 || y >= 0.9) return [200, 160, 60];
      return y < 0.34 ? [0, 0, 0] : y < 0.5 ? white : [128, 128, 128];
    });
    const { exposure } = await measure((await encoders[format]?.(picture)) ?? Buffer.alloc(0));
    expect(Math.abs(exposure.clippedShadows - 0.3)).toBeLessThan(0.025);
    expect(Math.abs(exposure.clippedHighlights - 0.2)).toBeLessThan(0.025);
    expect(Math.abs(exposure.lightness - (0.2 * 100 + 0.5 * 53.6))).toBeLessThan(1.5);
  },
);

test.each(['png', 'jpeg 75', 'webp 80', 'avif 60'])(
  'shades of grey are told from colours in %s',
  async (format) => {
    const draw = (tint: number) =>
      paint(400, 300, (x, y) => {
        const level = Math.round(40 + 180 * x);
        return shapes.rectangle.covers(x, y)
          ? [level, level, level]
          : y < 0.05
            ? [200, 200 - tint, 200]
            : white;
      });
    const read = async (tint: number) => measure((await encoders[format]?.(draw(tint))) ?? Buffer.alloc(0));
    expect((await read(0)).grey).toBe(true);
    expect((await read(60)).grey).toBe(false);
  },
);
