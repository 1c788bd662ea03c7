import { readdir, rm } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makePreset, type Preset } from '../../src/model/preset.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { drawProduct } from '../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();

/** Creates a test rig with one completed image and a function that compares pictures with this image. */
async function setUp() {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await drawProduct());
  return {
    rig,
    image,
    compareWith: async (bytes: Buffer, id = image.id, principal = unrestrictedPrincipal) =>
      rig.services.compareWithImage(principal, { id }, await rig.receive(bytes)),
  };
}

test('rates the same picture as identical to the original and close to the renditions', async () => {
  const { rig, image, compareWith } = await setUp();
  const { comparisons } = await compareWith(await drawProduct());
  expect(comparisons.map(({ name }) => name)).toEqual(['original', 'thumb', 'card']);
  const [original, , card] = comparisons;
  expect(original).toEqual({
    name: 'original',
    bytes: image.originalBytes,
    width: 500,
    height: 600,
    psnr: 100,
    ssim: 1,
    hashDistance: 0,
  });
  expect(card).toMatchObject({ bytes: image.renditions[1]?.bytes, width: 33, height: 40 });
  expect(card!.psnr).toBeGreaterThan(25);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('rates a different picture lower than a re-encoded copy', async () => {
  const { compareWith } = await setUp();
  const reencodedRating = (await compareWith(await drawProduct({ quality: 50 }))).comparisons[0]!;
  const differentRating = (await compareWith(await drawProduct({ shape: 'mug' }))).comparisons[0]!;
  expect(reencodedRating.psnr).toBeGreaterThan(differentRating.psnr);
  expect(reencodedRating.ssim).toBeGreaterThan(differentRating.ssim);
  expect(reencodedRating.hashDistance).toBeLessThan(differentRating.hashDistance);
});

test('omits a rendition whose file is missing from storage', async () => {
  const { rig, image, compareWith } = await setUp();
  await rm(rig.filePath(image.renditions[0]!.storageKey));
  const { comparisons } = await compareWith(await drawProduct());
  expect(comparisons.map(({ name }) => name)).toEqual(['original', 'card']);
});

test('rejects unknown images, images without an original and files that are not pictures, and stores nothing', async () => {
  const { rig, image, compareWith } = await setUp();
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', 503);
  const pendingImport = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  const picture = await drawProduct();
  await expect(compareWith(picture, pendingImport.image.id)).rejects.toMatchObject({
    code: 'rendition_not_ready',
    message: `Image ${pendingImport.image.id} has no original yet: it is pending.`,
  });
  await expect(compareWith(picture, 424_242)).rejects.toMatchObject({ code: 'image_not_found' });
  const otherPrincipal = { ...unrestrictedPrincipal, tenantId: 999_999 };
  await expect(compareWith(picture, image.id, otherPrincipal)).rejects.toMatchObject({
    code: 'image_not_found',
  });
  await expect(compareWith(Buffer.from('no picture'))).rejects.toMatchObject({ code: 'not_a_picture' });
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

/** Tries presets on a picture, and checks that nothing is stored. */
async function tryPresets(presets: readonly Preset[], bytes?: Buffer) {
  const rig = await makeRig(resources, { presets });
  const trials = await rig.services.tryPresets(
    unrestrictedPrincipal,
    await rig.receive(bytes ?? (await drawProduct())),
  );
  expect(await readdir(rig.staging.directory)).toEqual([]);
  expect(await rig.storedKeys()).toEqual([]);
  return trials;
}

const makeSquarePreset = (name: string, side: number, quality = 85): Preset =>
  makePreset({ name, width: side, height: side, quality });

test('tries the presets in order and recommends the smallest result of good quality', async () => {
  const { results, recommended } = await tryPresets([
    makeSquarePreset('zoom', 600, 95),
    makeSquarePreset('card', 500),
    makeSquarePreset('tiny', 16),
  ]);
  expect(results.map(({ preset: name }) => name)).toEqual(['zoom', 'card', 'tiny']);
  const [zoom, card, tiny] = results;
  expect([zoom?.height, card?.height, tiny?.height]).toEqual([600, 500, 16]);
  expect(zoom!.bytes).toBeGreaterThan(card!.bytes);
  expect(card!.bytes).toBeGreaterThan(tiny!.bytes);
  expect(card!.quality).toBeGreaterThanOrEqual(0.95);
  expect(tiny!.quality).toBeLessThan(0.95);
  expect(recommended).toBe('card');
});

test('recommends the best preset if no preset reaches good quality', async () => {
  const { results, recommended } = await tryPresets([
    makeSquarePreset('tiny', 16),
    makeSquarePreset('small', 80),
  ]);
  expect(results.every(({ quality }) => quality < 0.95)).toBe(true);
  expect(recommended).toBe('small');
});

test('does not try presets on a file that is not a picture, and stores nothing', async () => {
  const rig = await makeRig(resources);
  const file = await rig.receive(Buffer.from('no picture'));
  await expect(rig.services.tryPresets(unrestrictedPrincipal, file)).rejects.toMatchObject({
    code: 'not_a_picture',
  });
  expect(await readdir(rig.staging.directory)).toEqual([]);
});
