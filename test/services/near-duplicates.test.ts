import { systemPrincipal } from '../../src/model/principal.ts';
import { rm, truncate } from 'node:fs/promises';
import sharp, { type Sharp } from 'sharp';
import { expect, test, vi } from 'vitest';
import { isDuplicateTier } from '../../src/model/duplicates.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { drawLabelledPicture, type LabelStyle } from '../support/inner/labelled-pictures.ts';
import { makeUniquePicture, type ProductStyle, drawProduct } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';
import { makePreset } from '../../src/model/preset.ts';

const resources = await useTestResources();

/** Uploads a generated product picture and returns the completed image. */
const add = async (rig: Rig, style?: ProductStyle) => (await rig.upload(await drawProduct(style))).image;
const listRenditionKeys = ({ renditions }: { renditions: readonly { storageKey: string }[] }) =>
  renditions.map(({ storageKey }) => storageKey);

test('finds a re-encoded copy and reuses the renditions of the first image', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  const storedKeys = await rig.storedKeys();
  const copy = await add(rig, { quality: 60 });
  expect(copy).toMatchObject({ status: 'completed', renditionsReusedFrom: firstImage.id, duplicateOf: null });
  expect(copy.nearDuplicates).toMatchObject([{ id: firstImage.id, uuid: firstImage.uuid }]);
  expect(listRenditionKeys(copy)).toEqual(listRenditionKeys(firstImage));
  expect(await rig.storedKeys()).toEqual([...storedKeys, copy.originalKey!].toSorted());
  // Both images list the pair.
  expect((await rig.image(firstImage.id))?.nearDuplicates).toMatchObject([{ id: copy.id }]);
});

test('finds near-duplicates that are processed concurrently', async () => {
  const rig = await makeRig(resources);
  const copies = await Promise.all([50, 60, 70, 80, 90].map((quality) => add(rig, { quality })));
  const ids = copies.map(({ id }) => id).toSorted((a, b) => a - b);
  // An upload is answered as soon as its image is completed. Images that were completed meanwhile are compared afterwards.
  await vi.waitFor(
    async () => {
      for (const id of ids) {
        const otherIds = (await rig.image(id))?.nearDuplicates.map((match) => match.id);
        expect(
          otherIds?.toSorted((a, b) => a - b),
          `image ${id}`,
        ).toEqual(ids.filter((otherId) => otherId !== id));
      }
    },
    { timeout: 10_000, interval: 100 },
  );
});

test('records the image that made the renditions, not a copy that reuses them, as the source for a second copy', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  const secondImage = await add(rig, { quality: 60 });
  const thirdImage = await add(rig, { quality: 59 });
  expect([secondImage.renditionsReusedFrom, thirdImage.renditionsReusedFrom]).toEqual([
    firstImage.id,
    firstImage.id,
  ]);
  expect(listRenditionKeys(thirdImage)).toEqual(listRenditionKeys(firstImage));
});

test('makes separate renditions for a copy whose renditions would have a different size', async () => {
  const rig = await makeRig(resources, {
    presets: [makePreset({ name: 'card', width: 400, height: 400, quality: 85 })],
  });
  const largeImage = await add(rig, { width: 500 });
  const smallImage = await add(rig, { width: 250 });
  expect(smallImage.nearDuplicates).toMatchObject([{ id: largeImage.id }]);
  expect(smallImage.renditionsReusedFrom).toBeNull();
  expect([largeImage.renditions[0]?.height, smallImage.renditions[0]?.height]).toEqual([400, 300]);
  // This original is also larger than the preset's box, so its rendition is as large as that of the first image.
  expect((await add(rig, { width: 450 })).renditionsReusedFrom).toBe(largeImage.id);
});

/** One preset that is large enough to keep printed text legible. */
const zoomPresets = [makePreset({ name: 'zoom', width: 600, height: 600, quality: 85 })];

/** Uploads a box with a printed label. */
const addLabelledBox = async (rig: Rig, style?: LabelStyle, quality = 90) =>
  (await rig.upload(await drawLabelledPicture(style).jpeg({ quality }).toBuffer())).image;

test.each([
  ['digit', { text: '400' }, [0.24, 0.45]],
  ['shade', { shade: [184, 48, 66] }, [0.62, 0.52]],
] as const)(
  'a picture with a different %s is a variant, and does not reuse renditions',
  async (_, style, [x, y]) => {
    const rig = await makeRig(resources, { presets: zoomPresets });
    const firstImage = await addLabelledBox(rig);
    const otherImage = await addLabelledBox(rig, style);
    expect(otherImage.nearDuplicates).toMatchObject([{ id: firstImage.id }]);
    const [pair] = otherImage.nearDuplicates;
    expect(['variant', 'possible']).toContain(pair?.tier);
    // The box shows where they differ.
    const { left = 1, top = 1, width = 0, height = 0 } = pair?.box ?? {};
    expect(left <= x + 0.02 && x <= left + width + 0.02 && top <= y + 0.02 && y <= top + height + 0.02).toBe(
      true,
    );
    expect(width * height).toBeLessThan(0.1);
    expect(otherImage.renditionsReusedFrom).toBeNull();
    expect(listRenditionKeys(otherImage)).not.toEqual(listRenditionKeys(firstImage));
    // A copy of the second image is related to both images, and reuses the renditions of the second image.
    const copy = await addLabelledBox(rig, style, 70);
    expect(copy.nearDuplicates).toHaveLength(2);
    expect(copy.renditionsReusedFrom).toBe(otherImage.id);
  },
);

test.each([
  ['mirrored', (picture: Sharp) => picture.flop()],
  ['padded', (picture: Sharp) => picture.extend({ left: 60, right: 60, background: '#fff' })],
  ['brightness', (picture: Sharp) => picture.linear(0.88, 0)],
] as const)('finds a copy that was edited, and makes separate renditions: %s', async (edit, change) => {
  const rig = await makeRig(resources);
  const { image: firstImage } = await rig.upload(await drawLabelledPicture().png().toBuffer());
  const { image: copy } = await rig.upload(
    await change(sharp(await drawLabelledPicture().png().toBuffer()))
      .jpeg({ quality: 85 })
      .toBuffer(),
  );
  expect(copy.nearDuplicates).toMatchObject([{ id: firstImage.id, tier: 'edited', edit, verdict: null }]);
  expect(copy.renditionsReusedFrom).toBeNull();
  expect((await rig.image(firstImage.id))?.nearDuplicates).toMatchObject([
    { id: copy.id, tier: 'edited', edit },
  ]);
});

test.each([
  ['missing', (path: string) => rm(path)],
  ['truncated', (path: string) => truncate(path, 300)],
] as const)('does not reuse renditions if one of their files is %s', async (_, damage) => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  await damage(rig.filePath(firstImage.renditions.find(({ preset }) => preset === 'card')!.storageKey));
  const copy = await add(rig, { quality: 60 });
  expect(copy.nearDuplicates).toMatchObject([
    { id: firstImage.id, reason: 'the same colours in the same places' },
  ]);
  expect(copy).toMatchObject({ status: 'completed', renditionsReusedFrom: null });
});

test('reuses renditions across file formats, but not if only one original has an alpha channel', async () => {
  const rig = await makeRig(resources, { presets: zoomPresets });
  const encodeLossless = (picture: ReturnType<typeof drawLabelledPicture>) =>
    picture.webp({ lossless: true }).toBuffer();
  const { image: firstImage } = await rig.upload(await drawLabelledPicture().png().toBuffer());
  const { image: copy } = await rig.upload(await encodeLossless(drawLabelledPicture()));
  expect(copy.renditionsReusedFrom).toBe(firstImage.id);
  const { image: transparentImage } = await rig.upload(
    await encodeLossless(drawLabelledPicture().ensureAlpha(0.99)),
  );
  expect(transparentImage.nearDuplicates.map(({ id }) => id)).toContain(firstImage.id);
  expect(transparentImage.renditionsReusedFrom).toBeNull();
});

test('does not match a product with a different colour or shape', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  for (const style of [{ body: '#b23a48' }, { shape: 'mug' }] as const) {
    const otherImage = await add(rig, style);
    expect(otherImage.renditionsReusedFrom).toBeNull();
    expect(otherImage.nearDuplicates.filter(({ tier }) => isDuplicateTier(tier))).toEqual([]);
    expect(listRenditionKeys(otherImage)).not.toEqual(listRenditionKeys(firstImage));
  }
});

test('does not match pictures of a single colour', async () => {
  const rig = await makeRig(resources);
  await rig.upload(await makeUniquePicture());
  expect((await rig.upload(await makeUniquePicture())).image.nearDuplicates).toEqual([]);
});

test('never compares pictures of different tenants', async () => {
  const rig = await makeRig(resources);
  await add(rig);
  const { image } = await rig.upload(await drawProduct({ quality: 60 }), { tenantName: 'other' });
  expect(image).toMatchObject({ nearDuplicates: [], renditionsReusedFrom: null });
});

test('with NEAR_DUPLICATES=flag, reports near-duplicates but does not reuse renditions', async () => {
  const rig = await makeRig(resources, { nearDuplicates: 'flag' });
  const firstImage = await add(rig);
  const copy = await add(rig, { quality: 60 });
  expect(copy.nearDuplicates).toMatchObject([{ id: firstImage.id }]);
  expect(copy.renditionsReusedFrom).toBeNull();
  expect(listRenditionKeys(copy)).not.toEqual(listRenditionKeys(firstImage));
});

test('with NEAR_DUPLICATES=off, does not look for near-duplicates', async () => {
  const rig = await makeRig(resources, { nearDuplicates: 'off' });
  await add(rig);
  expect(await add(rig, { quality: 60 })).toMatchObject({ nearDuplicates: [], renditionsReusedFrom: null });
});

test('makes separate files when a copy is processed again after a failed attempt', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  const copy = await add(rig, { quality: 60 });
  await rig.jobs.requeue(copy.id, 50);
  const attempt = {
    failureClass: 'transient',
    stage: 'store',
    code: 'storage_failed',
    error: 'Unavailable.',
  } as const;
  const nextState = { state: 'pending', delaySeconds: 0, counter: 'retries' } as const;
  await rig.jobs.recordFailure(await claimOne(resources.database), attempt, nextState);
  expect(await rig.runJob(await claimOne(resources.database))).toMatchObject({ state: 'completed' });
  const rederivedImage = (await rig.image(copy.id))!;
  expect(rederivedImage.renditionsReusedFrom).toBeNull();
  expect(listRenditionKeys(rederivedImage)).not.toEqual(listRenditionKeys(firstImage));
  for (const key of listRenditionKeys(rederivedImage)) expect(await rig.storage.stat(key)).toBeDefined();
});

test('keeps reused renditions readable when the image that made them is purged', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  const copy = await add(rig, { quality: 60 });
  const [candidate] = await rig.purging.listUnused(
    { tenantId: firstImage.tenantId, minAgeDays: 0 },
    { limit: 1 },
  );
  const removedImage = await rig.purging.remove(systemPrincipal, candidate!, { unusedWithMinAgeDays: 0 });
  expect(removedImage?.files.map(({ key }) => key)).toEqual([firstImage.originalKey]);
  for (const { key } of removedImage?.files ?? []) await rig.storage.remove(key);
  const remainingImage = (await rig.image(copy.id))!;
  expect(remainingImage).toMatchObject({ renditionsReusedFrom: null, nearDuplicates: [] });
  for (const { storageKey, bytes } of remainingImage.renditions) {
    expect((await rig.storage.readAll(storageKey)).length).toBe(bytes);
  }
});

test('neither reports a deleted near-duplicate nor reuses its renditions', async () => {
  const rig = await makeRig(resources);
  const firstImage = await add(rig);
  const copy = await add(rig, { quality: 60 });
  await rig.softDelete({ id: firstImage.id });
  expect((await rig.image(copy.id))?.nearDuplicates).toEqual([]);
  const thirdImage = await add(rig, { quality: 75 });
  expect(thirdImage.nearDuplicates).toMatchObject([{ id: copy.id }]);
  expect(thirdImage.renditionsReusedFrom).toBe(copy.id);
});
