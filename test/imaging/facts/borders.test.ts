import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { BorderFacts } from '../../../src/model/intake-facts.ts';
import {
  type Colour,
  discs,
  encoders,
  measure,
  measurePicture,
  paint,
  white,
} from '../fixtures/constructed.ts';

const content = await discs(600).png().toBuffer();
const none = { left: 0, top: 0, right: 0, bottom: 0 };

/** Puts a frame around a picture. The widths are in pixels. */
async function frame(side: number, widths: Partial<BorderFacts>, [r, g, b]: Colour) {
  const all = { ...none, ...widths };
  const inner = await sharp(content)
    .resize(side - all.left - all.right, side - all.top - all.bottom, { fit: 'fill' })
    .png()
    .toBuffer();
  return sharp(inner).extend({ ...all, background: { r, g, b } });
}

const black: Colour = [0, 0, 0];
test.each<[string, Partial<BorderFacts>, Colour]>([
  ['all around', { left: 20, top: 20, right: 20, bottom: 20 }, black],
  ['white, all around', { left: 30, top: 30, right: 30, bottom: 30 }, white],
  ['bars above and below', { top: 75, bottom: 75 }, black],
  ['bars at the sides', { left: 120, right: 120 }, [90, 30, 30]],
  ['one white bar', { bottom: 60 }, white],
  ['a thin line', { left: 8, top: 8, right: 8, bottom: 8 }, [200, 30, 40]],
])('a frame: %s', async (_name, widths, colour) => {
  for (const format of ['png', 'jpeg 75', 'webp 80']) {
    const file = await encoders[format]?.(await frame(600, widths, colour));
    const { borders } = await measure(file ?? Buffer.alloc(0));
    for (const side of ['left', 'top', 'right', 'bottom'] as const)
      expect(Math.abs(borders[side] - (widths[side] ?? 0) / 600)).toBeLessThan(0.005);
  }
});

test.each<[string, (x: number, y: number) => Colour]>([
  ['a round product on white', (x, y) => (Math.hypot(x - 0.5, y - 0.5) < 0.45 ? [20, 90, 60] : white)],
  ['a box on white', (x, y) => (Math.max(Math.abs(x - 0.5), Math.abs(y - 0.5)) < 0.4 ? [20, 90, 60] : white)],
  [
    'a small box on grey',
    (x, y) => (Math.max(Math.abs(x - 0.5), Math.abs(y - 0.5)) < 0.2 ? white : [99, 99, 99]),
  ],
  [
    'a product with a straight side',
    (x, y) => (x > 0.25 && x < 0.6 + 0.2 * Math.sin(4 * y) && y > 0.3 && y < 0.8 ? [90, 30, 20] : white),
  ],
  ['one colour', () => [30, 60, 90]],
  ['a gradient', (x, y) => [Math.round(200 * x), Math.round(200 * y), 90]],
])('no frame: %s', async (_name, colourAt) => {
  expect((await measurePicture(paint(600, 600, colourAt))).borders).toEqual(none);
});

test('a frame around a product on white is found', async () => {
  const isFrame = (x: number, y: number) => Math.max(Math.abs(x - 0.5), Math.abs(y - 0.5)) > 0.47;
  const { borders } = await measurePicture(
    paint(800, 800, (x, y) =>
      isFrame(x, y) ? [10, 10, 10] : Math.hypot(x - 0.5, y - 0.5) < 0.3 ? [160, 40, 40] : white,
    ),
  );
  for (const width of Object.values(borders)) expect(Math.abs(width - 0.03)).toBeLessThan(0.005);
});
