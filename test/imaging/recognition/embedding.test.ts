import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { describePicture } from '../../../src/imaging/recognition/describe-picture.ts';
import { computeEmbedding } from '../../../src/imaging/recognition/embedding/embedding.ts';
import { compareParts, scaleParts, toScore } from '../../../src/model/similarity-score.ts';
import { gradientPicture, limits } from '../fixtures/pictures.ts';
import { decodePixels, drawProduct } from '../fixtures/products.ts';
import goldenVectors from '../fixtures/golden-vectors.json' with { type: 'json' };

async function computeVector(bytes: Uint8Array): Promise<readonly number[]> {
  return (await describePicture(bytes, limits)).embedding.vector;
}

function score(a: readonly number[], b: readonly number[]): number {
  return toScore(compareParts(scaleParts(Float32Array.from(a)), scaleParts(Float32Array.from(b))));
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, i) => sum + value * b[i]!, 0);
}

function swatch(red: number, green: number, blue: number, width = 300): Sharp {
  return sharp({ create: { width, height: 300, channels: 3, background: { r: red, g: green, b: blue } } });
}

const shirt = await drawProduct();
const shirtVector = await computeVector(shirt);

test('computes a deterministic, normalised vector of 512 numbers', async () => {
  const { space, vector } = computeEmbedding(await decodePixels(shirt));
  expect(space).toBe('classic-3');
  expect(vector).toHaveLength(512);
  expect(dot(vector, vector)).toBeCloseTo(1, 4);
  expect(vector).toEqual(shirtVector);
});

/** If these vectors change, the embedding space needs a new name. */
test.each([
  ['gradient', () => gradientPicture(300, 200).png().toBuffer()],
  ['shirt', () => drawProduct()],
  ['swatch', () => swatch(190, 30, 45).png().toBuffer()],
] as const)('computes the vector that the space defines: %s', async (name, createPicture) => {
  const vector = await computeVector(await createPicture());
  const bytes = Buffer.from(goldenVectors[name], 'base64');
  const goldenVector = Array.from({ length: 512 }, (_, i) => bytes.readInt16LE(2 * i) / 32_767);
  expect(dot(vector, goldenVector) / Math.sqrt(dot(goldenVector, goldenVector))).toBeGreaterThan(0.9999);
});

describe('scores', () => {
  test('are close to 1 for a copy', async () => {
    const copy = await sharp(shirt).resize(320).jpeg({ quality: 70 }).toBuffer();
    expect(score(await computeVector(copy), shirtVector)).toBeGreaterThan(0.9);
  });

  test('are close to 1 for a copy with a margin', async () => {
    const padding = { left: 120, right: 120, top: 90, bottom: 90, background: '#fff' };
    const paddedCopy = await sharp(shirt).extend(padding).jpeg({ quality: 85 }).toBuffer();
    expect(score(await computeVector(paddedCopy), shirtVector)).toBeGreaterThan(0.9);
  });

  test('are higher if the shape or the colour is the same', async () => {
    const recolouredScore = score(
      await computeVector(await drawProduct({ body: [190, 70, 100] })),
      shirtVector,
    );
    const sameColourScore = score(await computeVector(await drawProduct({ shape: 'vase' })), shirtVector);
    const differentScore = score(
      await computeVector(await drawProduct({ shape: 'vase', body: [190, 70, 100] })),
      shirtVector,
    );
    expect(recolouredScore).toBeGreaterThan(differentScore + 0.1);
    expect(sameColourScore).toBeGreaterThan(differentScore + 0.1);
    expect(differentScore).toBeLessThan(0.7);
  });
});

describe('plain pictures', () => {
  const computeJpegVector = async (picture: Sharp, quality = 85) =>
    computeVector(await picture.jpeg({ quality }).toBuffer());

  test('score high for the same colour and low for different colours, regardless of size and compression', async () => {
    const redVector = await computeJpegVector(swatch(190, 30, 45));
    const otherColours: readonly (readonly [number, number, number])[] = [
      [30, 60, 170],
      [255, 255, 255],
      [10, 10, 12],
      [190, 60, 30],
    ];
    for (const colour of otherColours)
      expect(score(await computeJpegVector(swatch(...colour)), redVector), String(colour)).toBeLessThan(0.75);
    expect(score(await computeJpegVector(swatch(190, 30, 45, 600), 50), redVector)).toBeGreaterThan(0.95);
    expect(score(await computeJpegVector(swatch(189, 33, 47)), redVector)).toBeGreaterThan(0.95);
  });

  test('score low for a different shade of beige', async () => {
    const beigeVector = await computeJpegVector(swatch(225, 205, 175));
    expect(score(await computeJpegVector(swatch(240, 228, 205)), beigeVector)).toBeLessThan(0.9);
  });

  test('score low against textures and products of the same colour', async () => {
    const greenVector = await computeJpegVector(swatch(70, 160, 120));
    const stripes = Buffer.from(
      Array.from({ length: 300 * 300 * 3 }, (_, i) => {
        const wave = 1 + 0.4 * Math.sin((Math.floor(i / 3) % 300) / 6);
        return Math.round([70, 160, 120][i % 3]! * wave);
      }),
    );
    const stripedPicture = sharp(stripes, { raw: { width: 300, height: 300, channels: 3 } });
    expect(score(await computeJpegVector(stripedPicture), greenVector)).toBeLessThan(0.75);
    expect(score(shirtVector, greenVector)).toBeLessThan(0.75);
  });
});

const grey = () => gradientPicture(90, 60).greyscale().toColourspace('b-w').png();
const transparentInput = {
  create: { width: 30, height: 20, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
} as const;

test.each([
  ['1 × 1', () => gradientPicture(1, 1).png()],
  ['1 × 5000', () => gradientPicture(1, 5000).png()],
  ['5000 × 1', () => gradientPicture(5000, 1).png()],
  ['grey', grey],
  ['CMYK', () => gradientPicture(90, 60).toColourspace('cmyk').jpeg()],
  ['fully transparent', () => sharp(transparentInput).png()],
])('computes a finite, normalised vector: %s', async (_, createPicture) => {
  const vector = await computeVector(await createPicture().toBuffer());
  expect(vector.every((value) => Number.isFinite(value))).toBe(true);
  expect(dot(vector, vector)).toBeCloseTo(1, 4);
});
