import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { discs, encoders, makeRandom, measure, measurePicture } from '../fixtures/constructed.ts';

const toPng = (picture: Sharp) => picture.png({ compressionLevel: 1 }).toBuffer();
const crisp = await toPng(discs(1000));

async function enlarge(factor: number, kernel: 'nearest' | 'linear' | 'cubic'): Promise<Sharp> {
  const small = await toPng(sharp(crisp).resize(Math.round(1000 / factor)));
  return sharp(small).resize(1000, 1000, { kernel });
}

describe('sharpness', () => {
  test('falls with blur, and hardly depends on the size or the format', async () => {
    const read = async (sigma: number) =>
      (await measurePicture(sigma === 0 ? sharp(crisp) : sharp(crisp).blur(sigma))).sharpness ?? 0;
    const values = [await read(0), await read(1), await read(2), await read(4), await read(8)];
    expect(values[0]).toBeGreaterThan(85);
    // Blur by σ pixels makes an edge σ √(2π) pixels wide.
    for (const [index, sigma] of [2, 4].entries())
      expect(Math.abs((values[index + 2] ?? 0) / (150 / (sigma * Math.sqrt(2 * Math.PI))) - 1)).toBeLessThan(
        0.2,
      );
    expect(values.toSorted((a, b) => b - a)).toEqual(values);
    for (const side of [150, 500, 2000]) {
      const { sharpness } = await measurePicture(discs(side));
      expect(sharpness).toBeGreaterThan(80);
    }
    for (const format of ['jpeg 95', 'jpeg 50', 'webp 80', 'avif 60']) {
      const file = await encoders[format]?.(sharp(crisp).blur(2));
      expect(
        Math.abs(((await measure(file ?? Buffer.alloc(0))).sharpness ?? 0) - (values[2] ?? 0)),
      ).toBeLessThan(8);
    }
  });

  test('does not depend on contrast, and noise does not raise it', async () => {
    const { sharpness } = await measurePicture(sharp(crisp).blur(3));
    const pale = await measurePicture(sharp(crisp).blur(3).linear(0.5, 120));
    expect(Math.abs((pale.sharpness ?? 0) - (sharpness ?? 0))).toBeLessThan(5);
    const { data, info } = await sharp(crisp).blur(3).raw().toBuffer({ resolveWithObject: true });
    const random = makeRandom(3);
    for (let index = 0; index < data.length; index++)
      data[index] = Math.max(0, Math.min(255, (data[index] ?? 0) + Math.round(random() * 6 - 3)));
    const noisy = await measurePicture(sharp(data, { raw: { ...info, channels: 3 } }));
    expect(Math.abs((noisy.sharpness ?? 0) - (sharpness ?? 0))).toBeLessThan(8);
  });
});

describe('upscaled', () => {
  test.each([
    [2, 'cubic'],
    [2, 'linear'],
    [3, 'cubic'],
    [4, 'cubic'],
    [4, 'linear'],
    [5, 'cubic'],
    [2, 'nearest'],
    [4, 'nearest'],
  ] as const)('a picture that was enlarged %d times (%s)', async (factor, kernel) => {
    for (const format of ['png', 'jpeg 95', 'webp 80']) {
      const file = await encoders[format]?.(await enlarge(factor, kernel));
      expect((await measure(file ?? Buffer.alloc(0))).upscaled).toBe(true);
    }
  });

  test('not a crisp picture of any size, nor a reduced or a blurred one', async () => {
    for (const side of [200, 700, 1800])
      expect((await measurePicture(discs(side, side))).upscaled).toBe(false);
    for (const format of ['jpeg 75', 'jpeg 50', 'webp 80'])
      expect((await measure((await encoders[format]?.(sharp(crisp))) ?? Buffer.alloc(0))).upscaled).toBe(
        false,
      );
    for (const sigma of [1, 2, 3, 5])
      expect((await measurePicture(sharp(crisp).blur(sigma))).upscaled).toBe(false);
  });
});

describe('compression', () => {
  test.each([5, 10, 35, 50, 75, 85, 92, 99, 100])('the quality %d of a JPEG is read', async (quality) => {
    for (const options of [{}, { progressive: true, chromaSubsampling: '4:4:4' }]) {
      const file = await sharp(crisp)
        .resize(200)
        .jpeg({ quality, ...options })
        .toBuffer();
      const { compression } = await measure(file);
      expect(compression.jpegQuality).toBe(quality);
      expect(compression.heavy || quality >= 40).toBe(true);
    }
  });

  test('blocks are found in a picture that was saved again', async () => {
    const resave = async (quality: number) => {
      const file = await sharp(crisp).jpeg({ quality }).toBuffer();
      const cut = sharp(file).extract({ left: 3, top: 5, width: 900, height: 900 });
      return [
        await measure(await toPng(cut.clone())),
        await measure(await cut.jpeg({ quality: 95 }).toBuffer()),
      ];
    };
    for (const { compression } of await resave(10)) expect(compression).toMatchObject({ heavy: true });
    for (const { compression } of await resave(85)) expect(compression).toMatchObject({ heavy: false });
    const { compression } = await measurePicture(sharp(crisp));
    expect(compression).toMatchObject({ jpegQuality: null, heavy: false });
    expect(compression.blockiness).toBeLessThan(0.1);
  });
});
