import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { renderVariants } from '../../../src/imaging/renditions/derive-renditions.ts';
import { makePreset, type PresetOptions, type RenditionFormat } from '../../../src/model/preset.ts';
import { limits } from '../fixtures/pictures.ts';
import { writeGif } from '../support/write-gif.ts';

type Colour = readonly [number, number, number, number];

const frameColours: readonly Colour[] = [
  [200, 20, 20, 255],
  [20, 160, 40, 255],
  [20, 40, 200, 255],
];
const size = { width: 90, height: 60 };
const delay = [100, 250, 70];

/** Animates frames of one colour each. The left half of a frame is clear if `isHalfClear` is set. */
async function animate(format: 'gif' | 'webp', isHalfClear = false, colours = frameColours): Promise<Buffer> {
  const { width, height } = size;
  const data = Buffer.alloc(width * height * colours.length * 4);
  for (const [page, colour] of colours.entries()) {
    for (let y = 0; y < height; y++) {
      for (let x = isHalfClear ? width / 2 : 0; x < width; x++)
        data.set(colour, ((page * height + y) * width + x) * 4);
    }
  }
  const raw = { width, height: height * colours.length, channels: 4, pageHeight: height } as const;
  const image = sharp(data, { raw });
  const timing = { loop: 3, delay: colours.map((_, n) => delay[n % delay.length]!) };
  return format === 'gif'
    ? image.gif(timing).toBuffer()
    : image.webp({ ...timing, lossless: true }).toBuffer();
}

async function render(
  bytes: Buffer,
  options: Partial<PresetOptions>,
  format: RenditionFormat = 'webp',
  density = 1,
) {
  const preset = makePreset({ name: 'moving', width: 40, height: 40, animation: 'keep', ...options });
  const { renditions } = await renderVariants(bytes, limits, [{ preset, format, density }], null);
  const [rendition] = renditions;
  const metadata = await sharp(rendition!.data, { animated: true }).metadata();
  const { data, info } = await sharp(rendition!.data, { animated: true })
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const pageHeight = metadata.pageHeight ?? info.height;
  const at = (page: number, x: number, y: number) => {
    const offset = ((page * pageHeight + y) * info.width + x) * 4;
    return [...data.subarray(offset, offset + 4)];
  };
  return { rendition: rendition!, metadata, at };
}

function expectColour(actual: readonly number[], expected: readonly number[]): void {
  const channels = expected[3] === 0 ? [3] : [0, 1, 2, 3];
  const deviation = Math.max(...channels.map((n) => Math.abs(actual[n]! - expected[n]!)));
  expect(deviation, `${actual.join()} instead of ${expected.join()}`).toBeLessThanOrEqual(8);
}

describe.each(['gif', 'webp'] as const)('an animated %s', (format) => {
  test('keeps its frames, delays and repetitions', async () => {
    const { rendition, metadata, at } = await render(await animate(format), {});
    expect(rendition).toMatchObject({ width: 40, height: 27 });
    expect(metadata).toMatchObject({ format: 'webp', pages: 3, pageHeight: 27, delay, loop: 3 });
    for (const [page, colour] of frameColours.entries()) expectColour(at(page, 20, 13), colour);
  });

  test('is padded and cut in every frame', async () => {
    const padded = await render(await animate(format), { fit: 'pad', background: '#ffffff' });
    expect(padded.metadata).toMatchObject({ width: 40, pageHeight: 40, pages: 3 });
    for (const [page, colour] of frameColours.entries()) {
      expectColour(padded.at(page, 20, 20), colour);
      expectColour(padded.at(page, 20, 3), [255, 255, 255, 255]);
    }
    const cut = await render(await animate(format, true), { fit: 'cover', background: '#ffffff' });
    expect(cut.metadata).toMatchObject({ width: 40, pageHeight: 40, pages: 3 });
    for (const [page, colour] of frameColours.entries()) {
      expectColour(cut.at(page, 37, 20), colour);
      expectColour(cut.at(page, 2, 20), [255, 255, 255, 255]);
    }
  });

  test('keeps its transparency', async () => {
    const { at } = await render(await animate(format, true), { background: 'transparent' });
    for (const [page, colour] of frameColours.entries()) {
      expectColour(at(page, 5, 13), [0, 0, 0, 0]);
      expectColour(at(page, 35, 13), colour);
    }
  });

  test('is still in other formats, and in presets that do not keep animations', async () => {
    for (const { metadata, at } of [
      await render(await animate(format), {}, 'jpeg'),
      await render(await animate(format), { animation: 'still' }),
    ]) {
      expect(metadata.pages ?? 1).toBe(1);
      expectColour(at(0, 20, 13), frameColours[0]!);
    }
  });

  test('shows its first frame if it has too many', async () => {
    const colours = Array.from({ length: 301 }, (_, n) => frameColours[n % 3]!);
    const { metadata } = await render(await animate(format, false, colours), {});
    expect(metadata.pages ?? 1).toBe(1);
    const { metadata: accepted } = await render(await animate(format, false, colours.slice(1)), {});
    expect(accepted.pages).toBe(300);
  });
});

test('a GIF whose frames exceed its screen shows its first frame', async () => {
  const screen = { width: 20, height: 20 };
  const frame = (index: number) => {
    return { left: 10, top: 0, ...screen, indices: Array<number>(400).fill(index) };
  };
  const file = writeGif(
    screen,
    [
      [200, 20, 20],
      [20, 160, 40],
    ],
    [frame(0), frame(1)],
  );
  const { metadata, rendition } = await render(file, {});
  expect(rendition).toMatchObject(screen);
  expect(metadata.pages ?? 1).toBe(1);
});
