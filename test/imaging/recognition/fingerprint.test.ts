import { array, assert, integer, property } from 'fast-check';
import sharp, { type Sharp } from 'sharp';
import { describe, expect, test } from 'vitest';
import { describePicture } from '../../../src/imaging/recognition/describe-picture.ts';
import { findRecolouring } from '../../../src/imaging/recognition/look-at-thumbnails.ts';
import { differingBits, type Fingerprint, hashDistance } from '../../../src/model/fingerprint.ts';
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

/** Returns the smallest number of bits in which a hash of one fingerprint differs from a hash of the other one's frames. */
function nearestHash(asked: Fingerprint, stored: Fingerprint): number {
  const distances = [...asked.frameHashes, ...asked.probes].flatMap(({ frame, hash }) =>
    stored.frameHashes
      .filter((other) => other.frame === frame)
      .map((other) => differingBits(hash, other.hash)),
  );
  return Math.min(...distances);
}

describe('a copy', () => {
  test.each([
    ['JPEG with quality 40', () => sharp(shirt).jpeg({ quality: 40 })],
    ['WebP', () => sharp(shirt).webp({ quality: 60 })],
    ['half the size', () => sharp(shirt).resize(300).jpeg({ quality: 85 })],
    ['a quarter of the size', () => sharp(shirt).resize(150).png()],
    ['twice the size', () => sharp(shirt).resize(1200).jpeg({ quality: 85 })],
    ['darker', () => sharp(shirt).linear(0.9, 0).png()],
  ])('has a similar hash: %s', async (_, createCopy) => {
    const copyFingerprint = await computeFingerprint(await createCopy().toBuffer());
    expect(hashDistance(copyFingerprint.hash, shirtFingerprint.hash)).toBeLessThanOrEqual(5);
  });

  // A bag beside the shirt. The hash of a strictly symmetric picture contains noise.
  const bag = { create: { width: 90, height: 160, channels: 3 as const, background: '#a62' } };
  const photo = () =>
    sharp(shirt)
      .composite([{ input: bag, left: 450, top: 420 }])
      .png()
      .toBuffer();

  const extension = { left: 80, right: 80, top: 80, bottom: 80, background: '#fff' };
  test.each<[string, (picture: Sharp) => Sharp]>([
    ['padded', (picture: Sharp) => picture.extend(extension)],
    ['padded in black', (picture: Sharp) => picture.extend({ ...extension, top: 0, background: '#000' })],
    ['mirrored', (picture: Sharp) => picture.flop()],
    ['mirrored and padded', (picture: Sharp) => picture.flop().extend(extension)],
    [
      'cropped by 3 % a side',
      (picture: Sharp) => picture.extract({ left: 18, top: 22, width: 564, height: 706 }),
    ],
    [
      'cropped by 5 % a side',
      (picture: Sharp) => picture.extract({ left: 30, top: 37, width: 540, height: 676 }),
    ],
    [
      'with a badge in a corner',
      (picture: Sharp) =>
        picture.composite([
          {
            input: { create: { width: 130, height: 75, channels: 3, background: '#d22' } },
            left: 18,
            top: 22,
          },
        ]),
    ],
  ])('has a similar hash of a frame: %s', async (_, edit) => {
    const original = await photo();
    const fingerprint = await computeFingerprint(original);
    const copyFingerprint = await computeFingerprint(await edit(sharp(original)).jpeg().toBuffer());
    expect(nearestHash(copyFingerprint, fingerprint)).toBeLessThanOrEqual(24);
    expect(nearestHash(fingerprint, copyFingerprint)).toBeLessThanOrEqual(24);
  });

  test('has the same fingerprint if it is identical', async () => {
    expect(await computeFingerprint(shirt)).toEqual(shirtFingerprint);
  });
});

describe('another picture', () => {
  test.each<[string, Partial<ProductLook>]>([
    ['red', { body: [170, 70, 60] }],
    ['grey', { body: [125, 125, 128] }],
  ])('is told by its thumbnail if its product is clearly recoloured: %s', async (_, look) => {
    const otherFingerprint = await computeFingerprint(await drawProduct(look));
    expect(findRecolouring(otherFingerprint, shirtFingerprint)).toBeDefined();
    expect(findRecolouring(otherFingerprint, shirtFingerprint)).toEqual(
      findRecolouring(shirtFingerprint, otherFingerprint),
    );
  });

  test.each([
    ['brighter', () => sharp(shirt).linear(1.2, 0)],
    ['with another gamma', () => sharp(shirt).gamma(1.3, 1)],
    ['more saturated', () => sharp(shirt).modulate({ saturation: 1.15 })],
    ['JPEG with quality 20', () => sharp(shirt).jpeg({ quality: 20 })],
  ])('is not taken for a recoloured one by its thumbnail: %s', async (_, createCopy) => {
    const copyFingerprint = await computeFingerprint(await createCopy().toBuffer());
    expect(findRecolouring(copyFingerprint, shirtFingerprint)).toBeUndefined();
  });

  test('has different hashes if it shows a different product', async () => {
    const vaseFingerprint = await computeFingerprint(await drawProduct({ shape: 'vase' }));
    expect(nearestHash(vaseFingerprint, shirtFingerprint)).toBeGreaterThan(24);
  });
});

test.each([
  [1, 1],
  [1, 5000],
  [3, 2],
])('fingerprints a picture of %i × %i pixels', async (width, height) => {
  const result = await computeFingerprint(await gradientPicture(width, height).png().toBuffer());
  expect(result.hash).toMatch(/^[0-9a-f]{64}$/);
  expect(result).toMatchObject({ quality: 0, aspect: width / height, frameHashes: [], probes: [] });
});

test('computes an empty hash with quality 0 for a plain picture', async () => {
  const plainPicture = sharp({ create: { width: 600, height: 400, channels: 3, background: '#c8a' } });
  expect(await computeFingerprint(await plainPicture.png().toBuffer())).toMatchObject({
    hash: '0'.repeat(64),
    quality: 0,
    frameHashes: [],
    probes: [],
  });
});

test('treats transparency as white', async () => {
  const transparentPicture = await sharp(shirt).unflatten().png().toBuffer();
  const copyFingerprint = await computeFingerprint(transparentPicture);
  expect(hashDistance(copyFingerprint.hash, shirtFingerprint.hash)).toBeLessThanOrEqual(1);
});

function countOnes(digit: number): number {
  return digit.toString(2).replaceAll('0', '').length;
}
