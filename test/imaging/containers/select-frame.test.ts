import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { decodePicture } from '../../../src/imaging/decoding/decode-picture.ts';
import { probe } from '../../../src/imaging/probe.ts';
import { selectFrame } from '../../../src/imaging/containers/select-frame.ts';
import { gradient, gradientPicture, limits } from '../fixtures/pictures.ts';
import { pngChunk, uint32 } from '../support/write-png.ts';
import { timeScale } from '../../support/time-scale.ts';

/** Creates an animation whose first frame is red and whose other frames are blue. */
async function createAnimation(format: 'gif' | 'webp', frameCount: number): Promise<Buffer> {
  const [width, height] = [24, 16];
  const data = Buffer.alloc(width * height * frameCount * 3, Buffer.of(0, 0, 255));
  data.fill(Buffer.of(255, 0, 0), 0, width * height * 3);
  const raw = { width, height: height * frameCount, channels: 3, pageHeight: height } as const;
  return sharp(data, { raw }).toFormat(format, { loop: 0 }).toBuffer();
}

/** Creates a WebP animation that repeats its second frame, which has a few hundred bytes. */
async function createLongWebp(frameCount: number): Promise<Buffer> {
  const shortAnimation = await createAnimation('webp', 2);
  const firstOffset = shortAnimation.indexOf('ANMF');
  const secondOffset = shortAnimation.indexOf('ANMF', firstOffset + 1);
  const copies = Array.from({ length: frameCount - 1 }, () => shortAnimation.subarray(secondOffset));
  const file = Buffer.concat([shortAnimation.subarray(0, secondOffset), ...copies]);
  file.writeUInt32LE(file.length - 8, 4);
  return file;
}

/** Creates a GIF animation that repeats its last frame. */
async function createLongGif(frameCount: number): Promise<Buffer> {
  const shortAnimation = await createAnimation('gif', 2);
  const lastOffset = selectFrame(shortAnimation, 'gif').bytes.length - 1;
  const copies = Array.from({ length: frameCount - 1 }, () => shortAnimation.subarray(lastOffset, -1));
  return Buffer.concat([shortAnimation.subarray(0, lastOffset), ...copies, Buffer.of(0x3b)]);
}

describe('an animated picture', () => {
  test.each([
    ['gif', createLongGif],
    ['webp', createLongWebp],
  ] as const)(
    'is decoded to its first frame, and is rejected above the frame limit: %s',
    async (format, createLongAnimation) => {
      const bytes = await createLongAnimation(1000);
      const facts = await probe(bytes, limits);
      expect(facts).toMatchObject({ format, width: 24, height: 16, frames: 1000 });
      const [red = 0, green = 255, blue = 255] = (await decodePicture(bytes, facts, facts)).data;
      expect([red > 240, green < 15, blue < 15]).toEqual([true, true, true]);
      await expect(probe(await createLongAnimation(1001), limits)).rejects.toMatchObject({
        code: 'picture_too_large',
        message: 'The image has 1001 frames; the limit is 1000.',
      });
    },
  );

  test.each([
    ['gif', createLongGif],
    ['webp', createLongWebp],
  ] as const)(
    'with 60,000 frames is rejected before it is decoded: %s',
    async (format, createLongAnimation) => {
      const bytes = await createLongAnimation(60_000);
      const startedAt = performance.now();
      const frame = selectFrame(bytes, format);
      expect(performance.now() - startedAt).toBeLessThan(1_000 * timeScale);
      expect(frame).toMatchObject({ frames: 60_000, size: { width: 24, height: 16 } });
      expect(frame.bytes.length).toBeLessThan(2000);
      // The library would need minutes to decode the WebP, so it must not receive all frames.
      await expect(probe(bytes, limits)).rejects.toMatchObject({ code: 'picture_too_large' });
      expect(performance.now() - startedAt).toBeLessThan(2_000 * timeScale);
    },
  );

  test('is reported with its actual number of frames, regardless of the number that a PNG declares', async () => {
    const png = await gradientPicture(20, 10).png().toBuffer();
    const frameControl = () => pngChunk('fcTL', Buffer.alloc(26));
    const animatedPng = (frameCount: number) =>
      Buffer.concat([
        png.subarray(0, 33),
        pngChunk('acTL', uint32(9_999_999, 0)),
        ...Array.from({ length: frameCount }, frameControl),
        png.subarray(33),
      ]);
    expect(await probe(animatedPng(3), limits)).toMatchObject({ frames: 3 });
    await expect(probe(animatedPng(1001), limits)).rejects.toMatchObject({ code: 'picture_too_large' });
  });
});

test('applies the pixel limit only to the decoded frame', async () => {
  const bytes = await createLongGif(300);
  expect(await probe(bytes, { ...limits, maxPixels: 24 * 16 })).toMatchObject({ frames: 300 });
});

describe('the pixel limit', () => {
  test.each(['png', 'gif', 'webp', 'avif', 'tiff'] as const)(
    'applies to the size in the %s header',
    async (format) => {
      const bytes = await gradientPicture(50, 30).toFormat(format).toBuffer();
      expect(selectFrame(bytes, format)).toMatchObject({ frames: 1, size: { width: 50, height: 30 } });
    },
  );

  test('is checked before the file is decoded', async () => {
    const png = await gradientPicture(50, 30).png().toBuffer();
    const header = Buffer.from(png.subarray(16, 29));
    header.writeUInt32BE(16_000, 0);
    header.writeUInt32BE(16_000, 4);
    const oversizedPng = Buffer.concat([
      png.subarray(0, 8),
      pngChunk('IHDR', header),
      pngChunk('IDAT', Buffer.of(1)),
    ]);
    await expect(probe(oversizedPng, limits)).rejects.toMatchObject({ code: 'picture_too_large' });
  });
});

describe('AVIF', () => {
  const stillAvif = () => gradientPicture(64, 48).avif({ lossless: true }).toBuffer();

  test('is decoded to its still picture if it also contains a movie', async () => {
    const bytes = await stillAvif();
    const movie = Buffer.concat([uint32(16), Buffer.from('moov', 'latin1'), Buffer.alloc(8)]);
    const animatedAvif = Buffer.concat([bytes, movie]);
    animatedAvif.write('avis', 8, 'latin1');
    const facts = await probe(animatedAvif, limits);
    expect(facts).toMatchObject({ format: 'avif', width: 64, height: 48, frames: 1 });
    const { data } = await decodePicture(animatedAvif, facts, facts);
    const expected = gradient(64, 48);
    const maxError = data.reduce((max, value, i) => Math.max(max, Math.abs(value - (expected[i] ?? 0))), 0);
    expect(maxError).toBeLessThan(6);
  });

  test('is rejected if it contains only a movie', async () => {
    const brands = Buffer.from('\0\0\0\x18ftypavis\0\0\0\0avisavif', 'latin1');
    const movie = Buffer.concat([uint32(16), Buffer.from('moov', 'latin1'), Buffer.alloc(8)]);
    await expect(probe(Buffer.concat([brands, movie]), limits)).rejects.toMatchObject({
      code: 'picture_unsupported',
      message: expect.stringContaining('is an animation') as string,
    });
  });

  test.each(['miaf', 'msf1', 'MA1B'])('is decoded if its major brand is %s', async (brand) => {
    const bytes = await stillAvif();
    bytes.write(brand, 8, 'latin1');
    const facts = await probe(bytes, limits);
    expect(facts).toMatchObject({ width: 64, height: 48 });
    expect((await decodePicture(bytes, facts, facts)).data).toHaveLength(64 * 48 * 3);
  });
});
