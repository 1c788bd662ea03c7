import { array, assert, integer, property } from 'fast-check';
import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { describePicture } from '../../../src/imaging/recognition/describe-picture.ts';
import { compareThumbnails } from '../../../src/imaging/recognition/compare-thumbnails.ts';
import { type Fingerprint, hashDistance } from '../../../src/model/fingerprint.ts';
import { gradientPicture, limits } from '../fixtures/pictures.ts';
import { type ProductLook, drawProduct } from '../fixtures/products.ts';

async function computeFingerprint(bytes: Uint8Array): Promise<Fingerprint> {
  return (await describePicture(bytes, limits)).fingerprint;
}

const shirt = await drawProduct();
const shirtFingerprint = await computeFingerprint(shirt);

const hashes = array(integer({ min: 0, max: 15 }), { minLength: 64, maxLength: 64 });
const hex = (digits: readonly number[]) => digits.map((digit) => digit.toString(16)).join('');

describe('hashes', () => {
  test('have a distance of 0 if equal, 64 if inverted, and 1 if one bit differs', () => {
    const zeros = '0'.repeat(64);
    expect(hashDistance(zeros, zeros)).toBe(0);
    expect(hashDistance(zeros, 'f'.repeat(64))).toBe(64);
    expect(hashDistance(zeros, `8${zeros.slice(1)}`)).toBe(1);
    expect(hashDistance(zeros, `${zeros.slice(1)}1`)).toBe(1);
  });

  test('have a distance of one quarter of the number of differing bits, rounded up', () => {
    assert(
      property(hashes, hashes, (a, b) => {
        const bits = a.reduce((sum, digit, i) => sum + countOnes(digit ^ b[i]!), 0);
        expect(hashDistance(hex(a), hex(b))).toBe(Math.ceil(bits / 4));
      }),
    );
  });
});

describe('a copy', () => {
  test.each([
    ['JPEG with quality 40', () => sharp(shirt).jpeg({ quality: 40 })],
    ['JPEG with quality 95', () => sharp(shirt).jpeg({ quality: 95 })],
    ['WebP', () => sharp(shirt).webp({ quality: 60 })],
    ['half the size', () => sharp(shirt).resize(300).jpeg({ quality: 85 })],
    ['a quarter of the size', () => sharp(shirt).resize(150).png()],
    ['twice the size', () => sharp(shirt).resize(1200).jpeg({ quality: 85 })],
    ['darker', () => sharp(shirt).linear(0.9, 0).png()],
  ])('matches the original: %s', async (_, createCopy) => {
    const copyFingerprint = await computeFingerprint(await createCopy().toBuffer());
    expect(hashDistance(copyFingerprint.hash, shirtFingerprint.hash)).toBeLessThanOrEqual(5);
    expect(compareThumbnails(copyFingerprint, shirtFingerprint)).toMatchObject({ isSamePicture: true });
    expect(compareThumbnails(shirtFingerprint, copyFingerprint)).toEqual(
      compareThumbnails(copyFingerprint, shirtFingerprint),
    );
  });

  test('has the same fingerprint if it is identical', async () => {
    expect(await computeFingerprint(shirt)).toEqual(shirtFingerprint);
    expect(shirtFingerprint).toMatchObject({ version: 1, aspect: 0.8 });
    expect(Buffer.from(shirtFingerprint.thumbnail, 'base64')).toHaveLength(32 * 32 * 3);
    expect(compareThumbnails(shirtFingerprint, shirtFingerprint)).toMatchObject({
      isSamePicture: true,
      difference: 0,
    });
  });
});

describe('a different picture', () => {
  test.each([
    ['a different colour', { body: [190, 70, 100] }],
    ['black', { body: [30, 30, 32] }],
    ['white', { body: [225, 225, 222] }],
    ['a thin stripe in a different colour', { stripe: [190, 40, 40] }],
  ] as ReadonlyArray<readonly [string, Partial<ProductLook>]>)(
    'is distinguished by its colours: %s',
    async (_, look) => {
      const recolouredFingerprint = await computeFingerprint(await drawProduct(look));
      expect(compareThumbnails(recolouredFingerprint, shirtFingerprint)).toMatchObject({
        isSamePicture: false,
      });
    },
  );

  test('has a different hash if it shows a different product', async () => {
    const vaseFingerprint = await computeFingerprint(await drawProduct({ shape: 'vase' }));
    expect(hashDistance(vaseFingerprint.hash, shirtFingerprint.hash)).toBeGreaterThan(10);
    expect(compareThumbnails(vaseFingerprint, shirtFingerprint).isSamePicture).toBe(false);
  });

  test('differs in its proportions if it is stretched', async () => {
    const wideFingerprint = await computeFingerprint(
      await sharp(shirt).resize(700, 750, { fit: 'fill' }).png().toBuffer(),
    );
    expect(compareThumbnails(wideFingerprint, shirtFingerprint)).toMatchObject({
      isSamePicture: false,
      reason: 'different proportions',
    });
  });
});

test.each([
  [1, 1],
  [1, 5000],
  [3, 2],
])('fingerprints a picture of %i × %i pixels', async (width, height) => {
  const result = await computeFingerprint(await gradientPicture(width, height).png().toBuffer());
  expect(result.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(result).toMatchObject({ quality: 0, aspect: width / height });
  expect(compareThumbnails(result, result)).toMatchObject({ isSamePicture: true, difference: 0 });
});

test('computes an empty hash with quality 0 for a plain picture', async () => {
  const plainPicture = sharp({ create: { width: 600, height: 400, channels: 3, background: '#c8a' } });
  expect(await computeFingerprint(await plainPicture.png().toBuffer())).toMatchObject({
    hash: '0'.repeat(64),
    quality: 0,
  });
});

test('treats transparency as white', async () => {
  const transparentPicture = await sharp(shirt).unflatten().png().toBuffer();
  const copyFingerprint = await computeFingerprint(transparentPicture);
  expect(hashDistance(copyFingerprint.hash, shirtFingerprint.hash)).toBeLessThanOrEqual(1);
  expect(compareThumbnails(copyFingerprint, shirtFingerprint).isSamePicture).toBe(true);
});

function countOnes(digit: number): number {
  return digit.toString(2).replaceAll('0', '').length;
}
