import sharp from 'sharp';
import { expect, test } from 'vitest';
import { intakeFactsSchema } from '../../../src/imaging/pool/intake-facts-schema.ts';
import { deriveRenditions } from '../../../src/imaging/renditions/derive-renditions.ts';
import { discs, measure, measurePicture, paint, white } from '../fixtures/constructed.ts';
import { limits, variants } from '../fixtures/pictures.ts';

test.each([
  [1, 1],
  [2, 2],
  [3, 5],
  [15, 15],
  [16, 16],
  [1, 4000],
  [6000, 3],
])('a picture of %d × %d has facts in their ranges', async (width, height) => {
  const facts = await measurePicture(
    paint(width, height, (x, y) => [Math.round(250 * x), Math.round(250 * y), 0]),
  );
  expect(intakeFactsSchema.parse(facts)).toEqual(facts);
  expect(facts).toMatchObject({ upscaled: false, borders: { left: 0, top: 0, right: 0, bottom: 0 } });
});

test('plain pictures have no sharpness and no product', async () => {
  for (const [width, height] of [
    [1, 1],
    [50, 50],
    [1200, 900],
    [5000, 4000],
  ] as const) {
    const background = { r: 255, g: 255, b: 255 };
    const plain = sharp({ create: { width, height, channels: 3, background } });
    expect(await measure(await plain.png({ compressionLevel: 1 }).toBuffer())).toMatchObject({
      sharpness: null,
      fill: 0,
      product: null,
      background: { kind: 'white', color: '#ffffff', whiteShare: 1, plainShare: 1 },
      upscaled: false,
      grey: true,
      compression: { jpegQuality: null, heavy: false },
    });
  }
});

test('transparent parts count as white', async () => {
  const disc = paint(500, 500, (x, y) => (Math.hypot(x - 0.5, y - 0.5) < 0.3 ? white : [0, 0, 0]));
  const alpha = await disc.toColourspace('b-w').raw().toBuffer();
  const picture = sharp({ create: { width: 500, height: 500, channels: 3, background: '#803020' } });
  const facts = await measure(
    await picture
      .joinChannel(alpha, { raw: { width: 500, height: 500, channels: 1 } })
      .png()
      .toBuffer(),
  );
  expect(facts.background).toMatchObject({ kind: 'white', whiteShare: 1 });
  expect(Math.abs((facts.fill ?? 0) - Math.PI * 0.09)).toBeLessThan(0.015);
  const empty = sharp({ create: { width: 90, height: 90, channels: 4, background: '#12345600' } });
  expect(await measure(await empty.png().toBuffer())).toMatchObject({
    fill: 0,
    background: { kind: 'white' },
  });
});

test('of an animation, the first frame counts', async () => {
  const frames = await Promise.all(
    [0.1, 0.4].map((radius) =>
      paint(200, 200, (x, y) => (Math.hypot(x - 0.5, y - 0.5) < radius ? [0, 90, 0] : white))
        .png()
        .toBuffer(),
    ),
  );
  const file = await sharp(frames, { join: { animated: true } })
    .gif()
    .toBuffer();
  expect(Math.abs(((await measure(file)).fill ?? 0) - Math.PI * 0.01)).toBeLessThan(0.01);
});

test('the facts are the same with and without renditions', async () => {
  const file = await discs(900).jpeg({ quality: 85 }).toBuffer();
  const { intakeFacts } = await deriveRenditions(file, limits, variants);
  expect(intakeFacts).toEqual(await measure(file));
});
