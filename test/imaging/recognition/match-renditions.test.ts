import { createHash } from 'node:crypto';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { deriveRenditions } from '../../../src/imaging/renditions/derive-renditions.ts';
import { matchRenditions } from '../../../src/imaging/recognition/pixel-match/match-renditions.ts';
import { type Colour, drawLabelledPicture } from '../../support/inner/labelled-pictures.ts';
import { limits } from '../fixtures/pictures.ts';
import { drawProduct } from '../fixtures/products.ts';
import { listedVariant, makePreset, type Variant } from '../../../src/model/preset.ts';

const variants = [
  makePreset({ name: 'thumb', width: 100, height: 100, quality: 85 }),
  makePreset({ name: 'zoom', width: 640, height: 640, quality: 85 }),
].map(listedVariant);

type Encode = (picture: Sharp) => Promise<Buffer>;

const jpeg =
  (quality: number, chromaSubsampling = '4:2:0'): Encode =>
  (picture) =>
    picture.jpeg({ quality, chromaSubsampling }).toBuffer();
const png: Encode = (picture) => picture.png().toBuffer();

/** Derives the renditions of two originals and matches them. */
async function match(current: Buffer, stored: Buffer) {
  const [currentResult, storedResult] = await Promise.all(
    [current, stored].map((bytes) => deriveRenditions(bytes, limits, variants)),
  );
  return matchRenditions(
    currentResult!.renditions.map(({ preset, width, height, data: bytes }) => {
      const storedRendition = storedResult!.renditions.find((rendition) => rendition.preset === preset)!;
      const storedSha256 = createHash('sha256').update(storedRendition.data).digest('hex');
      return {
        preset: preset.name,
        width,
        height,
        newBytes: bytes,
        storedBytes: storedRendition.data,
        storedSha256,
      };
    }),
  );
}

const label = await png(drawLabelledPicture());
const shirt = await drawProduct();
/** The saturated edges of this picture lose chroma each time it is encoded. */
const saturatedLabel = await png(
  drawLabelledPicture({ shade: [255, 90, 20], ink: [230, 20, 40], digitHeight: 40 }),
);
const pictures = [
  ['a label', label],
  ['a product', shirt],
  ['a label in saturated colours', saturatedLabel],
] as const;

const copies: ReadonlyArray<readonly [string, (original: Sharp) => Promise<Buffer>]> = [
  ['JPEG at quality 60', jpeg(60)],
  ['JPEG at quality 75 with full chroma', jpeg(75, '4:4:4')],
  [
    'JPEG at quality 90, then 75, then 60',
    async (picture) => jpeg(60)(sharp(await jpeg(75)(sharp(await jpeg(90)(picture))))),
  ],
  ['WebP at quality 75', (picture) => picture.webp({ quality: 75 }).toBuffer()],
  ['AVIF at quality 60', (picture) => picture.avif({ quality: 60, effort: 0 }).toBuffer()],
  ['lossless WebP', (picture) => picture.webp({ lossless: true }).toBuffer()],
];

describe.each(pictures)('%s matches', (_, original) => {
  test.each(copies)('its copy as %s', async (_encoding, copy) => {
    expect(await match(await copy(sharp(original)), original)).toEqual({ verdict: 'same' });
  });

  test('its largest rendition, encoded again', async () => {
    const { renditions } = await deriveRenditions(original, limits, variants);
    expect(await match(renditions[1]!.data, original)).toEqual({ verdict: 'same' });
  });

  test('its enlarged copy', async () => {
    const largePicture = await png(sharp(original).resize(800));
    // Enlarging shifts a picture by a fraction of a pixel.
    const enlargedCopy = await jpeg(80)(sharp(largePicture).resize(923));
    expect(await match(enlargedCopy, largePicture)).toEqual({ verdict: 'same' });
  });
});

const encodings = [
  ['the same way', jpeg(90), jpeg(90)],
  ['with different quality', jpeg(92), jpeg(60)],
] as const;

describe.each(encodings)('different products encoded %s', (_, encodeFirst, encodeSecond) => {
  const matchLabels = async (first: Parameters<typeof drawLabelledPicture>[0], second: typeof first) =>
    match(await encodeFirst(drawLabelledPicture(first)), await encodeSecond(drawLabelledPicture(second)));

  test.each([
    ['a digit', { text: '200' }, { text: '400' }],
    ['a small digit', { text: '200', digitHeight: 10 }, { text: '500', digitHeight: 10 }],
    [
      'a low-contrast digit',
      { text: '200', digitHeight: 20, ink: [205, 206, 210] },
      { text: '400', digitHeight: 20, ink: [205, 206, 210] },
    ],
    ['an additional digit', { text: '20' }, { text: '200' }],
    [
      'a digit on a large picture',
      { width: 900, digitHeight: 20 },
      { width: 900, digitHeight: 20, text: '100' },
    ],
  ] as const)('are distinguished by %s', async (_difference, first, second) => {
    expect(await matchLabels(first, second)).toMatchObject({
      verdict: 'different',
      left: expect.closeTo(27, -1) as number,
      top: expect.closeTo(46, -1) as number,
    });
  });

  // Each shade differs from the previous shade by about ΔE 5 (CIE 1976).
  const shades: readonly Colour[] = [
    [170, 30, 60],
    [174, 33, 66],
    [176, 45, 66],
    [189, 54, 72],
  ];
  test.each([1, 2, 3])('are distinguished by lipstick shade %s', async (next) => {
    expect(await matchLabels({ shade: shades[next - 1]! }, { shade: shades[next]! })).toMatchObject({
      verdict: 'different',
      left: expect.closeTo(62, -1) as number,
    });
  });
});

test('distinguishes two muted colours of one product', async () => {
  const recolouredPicture = await drawProduct({ body: [72, 152, 126] });
  expect(await match(await jpeg(80)(sharp(recolouredPicture)), shirt)).toMatchObject({
    verdict: 'different',
  });
});

describe('compares renditions in other formats', () => {
  async function matchAs(variant: Variant, current: Buffer, stored: Buffer) {
    const results = await Promise.all(
      [current, stored].map((bytes) => deriveRenditions(bytes, limits, [variant])),
    );
    const [own, other] = results.map(({ renditions }) => renditions[0]!);
    const storedSha256 = createHash('sha256').update(other!.data).digest('hex');
    const { width, height } = own!;
    return matchRenditions([
      { preset: 'clear', width, height, newBytes: own!.data, storedBytes: other!.data, storedSha256 },
    ]);
  }

  const clear = makePreset({ name: 'clear', width: 300, height: 300, background: 'transparent' });
  const [white, black] = ['#ffffff', '#000000'];
  const drawDisc = (
    background: { r: number; g: number; b: number; alpha: number },
    disc: string | undefined,
  ) => {
    const input = { create: { width: 60, height: 60, channels: 3 as const, background: disc ?? white } };
    const canvas = sharp({ create: { width: 200, height: 200, channels: 4, background } });
    return png(disc === undefined ? canvas : canvas.composite([{ input, left: 70, top: 70 }]));
  };
  const nothing = { r: 0, g: 0, b: 0, alpha: 0 };

  test.each(['webp', 'png', 'avif'] as const)('%s', async (format) => {
    const variant = { preset: clear, format, density: 1 };
    const disc = await drawDisc(nothing, '#d01020');
    expect(await matchAs(variant, disc, await sharp(disc).webp({ quality: 95 }).toBuffer())).toEqual({
      verdict: 'same',
    });
    expect(await matchAs(variant, disc, await drawDisc(nothing, '#1020d0'))).toMatchObject({
      verdict: 'different',
    });
  });

  test('transparent ones that look the same on white or on black', async () => {
    const variant = { preset: clear, format: 'png', density: 1 } as const;
    const empty = await drawDisc(nothing, undefined);
    for (const colour of [white, black]) {
      const disc = await drawDisc(nothing, colour);
      expect(await matchAs(variant, disc, empty)).toMatchObject({ verdict: 'different' });
    }
  });

  test('but not animated ones', async () => {
    const moving = makePreset({ name: 'clear', width: 60, height: 60, animation: 'keep' });
    const animate = (last: number) => {
      const data = Buffer.concat([Buffer.alloc(60 * 60 * 3, 0), Buffer.alloc(60 * 60 * 3, last)]);
      const raw = { width: 60, height: 120, channels: 3, pageHeight: 60 } as const;
      return sharp(data, { raw }).gif().toBuffer();
    };
    const variant = { preset: moving, format: 'webp', density: 1 } as const;
    expect(await matchAs(variant, await animate(255), await animate(90))).toEqual({ verdict: 'unknown' });
    expect(await matchAs(variant, await animate(255), await animate(255))).toEqual({ verdict: 'same' });
  });
});

test('returns the verdict "unknown" if the stored bytes do not match the recorded hash', async () => {
  const { renditions } = await deriveRenditions(label, limits, variants);
  const pairs = renditions.map(({ preset, width, height, data: bytes }) => ({
    preset: preset.name,
    width,
    height,
    newBytes: bytes,
    storedBytes: bytes.subarray(0, -1),
    storedSha256: createHash('sha256').update(bytes).digest('hex'),
  }));
  expect(await matchRenditions(pairs)).toEqual({ verdict: 'unknown' });
});

test.each([
  [1, 1],
  [3, 1],
  [1, 700],
  [7, 5],
])('compares pictures of %s × %s pixels', async (width, height) => {
  const plainPicture = (red: number) =>
    png(sharp({ create: { width, height, channels: 3, background: { r: red, g: 90, b: 90 } } }));
  expect(await match(await plainPicture(200), await plainPicture(200))).toEqual({ verdict: 'same' });
  expect(await match(await plainPicture(200), await plainPicture(120))).toMatchObject({
    verdict: 'different',
  });
});
