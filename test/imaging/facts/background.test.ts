import { expect, test } from 'vitest';
import { type Colour, encoders, measure, measurePicture, paint, white } from '../fixtures/constructed.ts';

const grey = (level: number): Colour => [level, level, level];
const isProduct = (x: number, y: number) => Math.hypot(x - 0.5, y - 0.5) < 0.3;

test.each([
  ['white', white, 1],
  ['a level that is ΔE 0.4 from white', grey(254), 1],
  ['a level that is ΔE 1.7 from white', grey(250), 1],
  ['a level that is ΔE 2.1 from white', grey(249), 0],
  ['a tint that is ΔE 1.5 from white', [255, 255, 252], 1],
  ['a tint that is ΔE 2.4 from white', [255, 255, 250], 0],
  ['light grey', grey(240), 0],
] as const)('%s', async (_name, colour, whiteShare) => {
  for (const side of [40, 700]) {
    const { background } = await measurePicture(
      paint(side, side, (x, y) => (isProduct(x, y) ? [90, 20, 20] : colour)),
    );
    expect(background).toMatchObject({
      whiteShare,
      plainShare: 1,
      kind: whiteShare === 1 ? 'white' : 'plain',
    });
  }
});

test('the share is exact, pixel by pixel', async () => {
  // The border of 1000 × 600 pixels is 3 pixels wide: 2 × 3 × 1000 + 2 × 3 × 594 pixels.
  const total = 6 * 1000 + 6 * 594;
  const { background } = await measurePicture(
    paint(1000, 600, (x, y) => (y * 600 < 1 || (x * 1000 < 2 && y > 0.5) ? grey(200) : white)),
  );
  expect(background.whiteShare).toBeCloseTo(1 - (1000 + 2 * 300) / total, 3);
});

test.each([
  ['jpeg 95', 1],
  ['jpeg 75', 1],
  ['jpeg 50', 1],
  ['webp 80', 1],
  ['avif 60', 1],
  ['gif', 1],
])('the background stays white in %s, also in a picture that is scaled down', async (format, share) => {
  for (const side of [300, 1500]) {
    const picture = paint(side, side, (x, y) => (isProduct(x, y) ? [30, 60, 120] : white));
    const { background } = await measure((await encoders[format]?.(picture)) ?? Buffer.alloc(0));
    expect(background).toMatchObject({ kind: 'white', whiteShare: share, color: '#ffffff' });
  }
});

test('a product that reaches one edge leaves the background white, but a scene does not', async () => {
  const standing = await measurePicture(
    paint(500, 700, (x, y) => (Math.abs(x - 0.5) < 0.2 && y > 0.2 ? [60, 60, 90] : white)),
  );
  expect(standing.background.kind).toBe('white');
  expect(standing.background.whiteShare).toBeCloseTo(1 - (0.4 * 500) / 2400, 2);
  const room = await measurePicture(paint(500, 700, (_x, y) => (y > 0.6 ? [120, 90, 60] : [230, 225, 215])));
  expect(room.background.kind).toBe('mixed');
});
