import { expect, test } from 'vitest';
import { makePreset } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import { makeDerivedFileSweeps } from '../../../src/services/sweep/derived-files.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 40, height: 40 });
const { signal } = new AbortController();

const load = (rig: Rig, uuid: string, format: 'jpeg' | 'webp' = 'webp') =>
  rig.services.deliver.load(everyone, { uuid, preset: 'card', density: 1, format }, signal);
const makeSweeps = (rig: Rig, maxDerivedBytes: number | null) =>
  makeDerivedFileSweeps({ ...rig, maxDerivedBytes, oldRenditionDays: 7 });
const expectExactUsage = async () =>
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));

/** Uploads pictures, makes their WebP on request, and returns the ids of the images and the rows of the WebP. */
async function addImages(rig: Rig, count: number) {
  const images = [];
  for (let index = 0; index < count; index++) {
    const { image } = await rig.upload(await makeUniquePicture());
    await load(rig, image.uuid);
    const renditions = (await rig.image(image.id))?.renditions ?? [];
    images.push({ image, webp: renditions.find(({ format }) => format === 'webp')! });
  }
  return images;
}

/** Adds two images with the same content. The second shares the WebP of the first. */
async function addSharingImages(rig: Rig) {
  const bytes = await makeUniquePicture();
  const { image: first } = await rig.upload(bytes);
  await load(rig, first.uuid);
  await rig.softDelete({ id: first.id });
  const { image: second } = await rig.upload(bytes);
  await rig.services.restoreImage(everyone, { id: first.id });
  await load(rig, second.uuid);
  return { first, second };
}

test('removes the least recently served renditions that were made on request, and only as many as necessary', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const images = await addImages(rig, 4);
  const [, second, third] = images;
  await resources.database.runScript(`
    UPDATE renditions SET served_at = now() - interval '1 day' WHERE is_on_request;
    UPDATE renditions SET served_at = now() - interval '2 days' WHERE id = ${third!.webp.id};
    UPDATE renditions SET served_at = now() - interval '3 days' WHERE id = ${second!.webp.id}`);
  const total = images.reduce((sum, { webp }) => sum + webp.bytes, 0);
  expect(await makeSweeps(rig, null).evict()).toBe(0);
  expect(await makeSweeps(rig, total).evict()).toBe(0);
  expect(await makeSweeps(rig, total - second!.webp.bytes - 1).evict()).toBe(2);

  const keys = await rig.storedKeys();
  expect(images.map(({ webp }) => keys.includes(webp.storageKey))).toEqual([true, false, false, true]);
  await expectExactUsage();
  rig.renderedFiles.length = 0;
  await load(rig, second!.image.uuid);
  expect(rig.renderedFiles).toEqual(['card.webp']);
  expect(await rig.storedKeys()).toContain(second!.webp.storageKey);
  expect(await makeSweeps(rig, 0).evict()).toBe(3);
  expect((await rig.image(second!.image.id))?.renditions).toMatchObject([{ format: 'jpeg' }]);
  await expectExactUsage();
});

test('keeps a file that another image shares, and its bytes move to that image', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const { first, second } = await addSharingImages(rig);
  const [owner, sharer] = await Promise.all([rig.image(first.id), rig.image(second.id)]);
  const webp = owner!.renditions.find(({ format }) => format === 'webp')!;
  expect(sharer!.renditions.find(({ format }) => format === 'webp')!.storageKey).toBe(webp.storageKey);

  const removal = { ...webp, imageId: first.id };
  expect(await rig.renditionRemoval.remove(removal, 'on-request')).toBe('still-shared');
  expect(await rig.renditionRemoval.remove(removal, 'on-request')).toBeUndefined();
  expect(await rig.storedKeys()).toContain(webp.storageKey);
  await expectExactUsage();
  expect(await rig.recounting.repairOwners(first.tenantId)).toBe(0);
});

test('does not count a file as freed that another image still shares', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const { first } = await addSharingImages(rig);
  const [other] = await addImages(rig, 1);
  await resources.database.runScript(
    `UPDATE renditions SET served_at = now() - interval '1 day' WHERE is_on_request AND image_id <> ${other!.image.id};
     UPDATE renditions SET served_at = now() - interval '2 days' WHERE is_on_request AND image_id = ${first.id}`,
  );
  // Removing the owner's row frees nothing, so that of the sharer has to go as well.
  expect(await makeSweeps(rig, other!.webp.bytes).evict()).toBe(2);
  expect(await rig.storedKeys()).toContain(other!.webp.storageKey);
  await expectExactUsage();
});

test('removes renditions that were replaced long ago, and nothing else', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const { image } = await rig.upload(await makeUniquePicture());
  const [former] = (await rig.image(image.id))!.renditions;
  const changed = { ...card, background: '#000000' };
  const newRig = await makeRig(resources, { presets: [changed], root: rig.root });
  await load(newRig, image.uuid, 'jpeg');
  expect(await makeSweeps(newRig, null).removeSuperseded()).toBe(0);

  await resources.database.runScript(
    "UPDATE renditions SET superseded_at = now() - interval '8 days' WHERE superseded_at IS NOT NULL",
  );
  expect(await makeSweeps(newRig, null).removeSuperseded()).toBe(1);
  const keys = await newRig.storedKeys();
  expect(keys).not.toContain(former!.storageKey);
  expect(keys).toHaveLength(2);
  await expect(
    newRig.services.deliver.load(
      everyone,
      { uuid: image.uuid, preset: 'card', density: 1, format: 'jpeg', recipe: former!.recipe },
      signal,
    ),
  ).rejects.toMatchObject({ code: 'unknown_variant' });
  await expectExactUsage();
});

test('notes once an hour that a rendition that was made on request is served', async () => {
  const rig = await makeRig(resources, { presets: [card] });
  const [added] = await addImages(rig, 1);
  const { webp, image } = added!;
  const jpeg = (await rig.image(image.id))!.renditions.find(({ format }) => format === 'jpeg')!;
  await resources.database.runScript("UPDATE renditions SET served_at = now() - interval '2 days'");
  await rig.variants.noteServed([webp.id, jpeg.id]);
  const [least] = await rig.renditionRemoval.list('on-request', 5);
  expect(least).toMatchObject({ id: webp.id, imageId: image.id, bytes: webp.bytes });
  const { rows } = await resources.database.sql
    .selectFrom('renditions')
    .select(['id', 'served_at'])
    .execute()
    .then((all) => ({ rows: all }));
  const ageOf = (id: number) => Date.now() - (rows.find((row) => row.id === id)?.served_at?.getTime() ?? 0);
  expect(ageOf(webp.id)).toBeLessThan(2 * 3_600_000);
  expect(ageOf(jpeg.id)).toBeGreaterThan(24 * 3_600_000);
});
