import { expect, test } from 'vitest';
import { makePreset } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import { selectRow } from '../../support/inner/database.ts';
import { drawProduct, type ProductStyle } from '../../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 60, height: 60 });
/** In this box, a picture that is one pixel narrower yields a rendition that is one pixel narrower. */
const small = makePreset({ name: 'small', width: 33, height: 33, eager: 'none' });
const zoom = makePreset({ name: 'zoom', width: 200, height: 200, eager: 'none' });
const { signal } = new AbortController();

const makeSharingRig = () =>
  makeRig(resources, { presets: [card, small, zoom], readCacheBytes: 2 ** 20, nearDuplicates: 'reuse' });

const load = (rig: Rig, { uuid }: { uuid: string }, preset = 'card') =>
  rig.services.deliver.load(everyone, { uuid, preset, density: 1, format: 'webp' }, signal);

const webpOf = async (rig: Rig, { id }: { id: number }, preset = 'card') =>
  (await rig.image(id))?.renditions.find((one) => one.preset === preset && one.format === 'webp');

const expectExactUsage = async () =>
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));

/** Uploads a picture and then a near-duplicate, which shares the first renditions of the first one. */
async function addPair(style: ProductStyle = { quality: 60 }) {
  const rig = await makeSharingRig();
  const { image: donor } = await rig.upload(await drawProduct());
  const { image: copy } = await rig.upload(await drawProduct(style));
  expect(copy.renditionsReusedFrom).toBe(donor.id);
  rig.renderedFiles.length = 0;
  return { rig, donor, copy };
}

test('shares a further variant with the donor on request, and the file outlives the donor', async () => {
  const { rig, donor, copy } = await addPair();
  const first = await load(rig, donor);
  const keys = await rig.storedKeys();
  const second = await load(rig, copy);
  expect(second).toMatchObject({ body: 'body' in first && first.body, imageId: copy.id });
  expect(rig.renderedFiles).toEqual(['card.webp']);
  expect(await rig.storedKeys()).toEqual(keys);
  const webp = await webpOf(rig, copy);
  expect(webp).toMatchObject({
    storageKey: (await webpOf(rig, donor))?.storageKey,
    isListed: false,
    isOnRequest: true,
  });
  await expectExactUsage();

  await rig.services.deleteImage(everyone, { id: donor.id }, { force: false });
  await rig.services.purgeDeleted(everyone, { days: 0, dryRun: false, confirmTokens: ['DELETE_CONFIRMED'] });
  expect(await rig.image(donor.id)).toBeUndefined();
  expect(await rig.storage.readAll(webp!.storageKey)).toHaveLength(webp!.bytes);
  await expectExactUsage();
});

test('shares a variant that a job makes', async () => {
  const { rig, donor, copy } = await addPair();
  await load(rig, donor);
  const variants = [{ preset: 'card', format: 'webp', density: 1 }] as const;
  await rig.jobs.enqueueRender({ imageId: copy.id, variants, priority: 200 });
  const [job] = await rig.jobs.claimDue('render', 1, 60);
  expect(await rig.runJob(job!)).toEqual({ state: 'completed' });
  expect((await webpOf(rig, copy))?.storageKey).toBe((await webpOf(rig, donor))?.storageKey);
  expect(rig.renderedFiles).toEqual(['card.webp']);
});

test('makes an own file if the donor has none, and the donor does not share that of the copy', async () => {
  const { rig, donor, copy } = await addPair();
  await load(rig, copy);
  await load(rig, donor);
  expect(rig.renderedFiles).toEqual(['card.webp', 'card.webp']);
  expect((await webpOf(rig, copy))?.storageKey).toContain(copy.contentHash);
  expect((await webpOf(rig, donor))?.storageKey).toContain(donor.contentHash);
  await expectExactUsage();
});

/** Loads a variant of both images, and expects that each of them has its own file. */
async function expectSeparate({ rig, donor, copy }: Awaited<ReturnType<typeof addPair>>, preset = 'card') {
  await load(rig, donor, preset);
  await load(rig, copy, preset);
  expect(rig.renderedFiles).toEqual([`${preset}.webp`, `${preset}.webp`]);
  expect((await webpOf(rig, copy, preset))?.storageKey).toContain(copy.contentHash);
}

test('does not share a variant whose size would differ by a pixel', async () => {
  const pair = await addPair({ width: 499 });
  await expectSeparate(pair, 'small');
  const sizes = [await webpOf(pair.rig, pair.donor, 'small'), await webpOf(pair.rig, pair.copy, 'small')];
  expect(sizes).toMatchObject([
    { width: 28, height: 33 },
    { width: 27, height: 33 },
  ]);
});

test('does not share a variant that is larger than the renditions that were compared', async () => {
  await expectSeparate(await addPair(), 'zoom');
});

test('does not share a variant while the focal points differ', async () => {
  const pair = await addPair();
  // The recipe of this preset does not depend on the focal point.
  await pair.rig.services.focalPoint.set(everyone, { id: pair.copy.id }, { x: 0.25, y: 0.5 });
  await expectSeparate(pair);
});

test.each([
  ['other metadata is kept', "kept_metadata = 'a1'"],
  ['it is unknown which metadata is kept', 'kept_metadata = NULL'],
  ['only one of them has an alpha channel', 'has_alpha = NOT has_alpha'],
  ['the donor is damaged', 'damaged_at = now()'],
])('does not share a variant if %s', async (_, change) => {
  const pair = await addPair();
  await resources.database.runScript(`UPDATE images SET ${change} WHERE id = ${pair.donor.id}`);
  await expectSeparate(pair);
});

test('does not share a variant of the donor that has been superseded', async () => {
  const pair = await addPair();
  await load(pair.rig, pair.donor);
  await resources.database.runScript(
    `UPDATE renditions SET superseded_at = now() WHERE image_id = ${pair.donor.id} AND format = 'webp'`,
  );
  await load(pair.rig, pair.copy);
  expect((await webpOf(pair.rig, pair.copy))?.storageKey).toContain(pair.copy.contentHash);
});

test('shares the file of an image with the same content even if its focal point differs, but not across tenants', async () => {
  const rig = await makeSharingRig();
  const bytes = await drawProduct();
  const { image: first } = await rig.upload(bytes);
  await rig.softDelete({ id: first.id });
  const { image: second } = await rig.upload(bytes);
  await rig.services.restoreImage(everyone, { id: first.id });
  await rig.services.focalPoint.set(everyone, { id: second.id }, { x: 0.25, y: 0.5 });
  const { image: foreign } = await rig.upload(bytes, { tenantName: 'other' });
  rig.renderedFiles.length = 0;
  for (const image of [first, second, foreign]) await load(rig, image, 'zoom');
  expect(rig.renderedFiles).toEqual(['zoom.webp', 'zoom.webp']);
  const [key, sharedKey, foreignKey] = await Promise.all(
    [first, second, foreign].map(async (image) => (await webpOf(rig, image, 'zoom'))?.storageKey),
  );
  expect(sharedKey).toBe(key);
  expect(foreignKey).not.toBe(key);
  expect(
    await selectRow(
      resources.database,
      `SELECT count(*) AS count FROM renditions WHERE storage_key = '${key}' AND NOT shared`,
    ),
  ).toEqual({ count: 1 });
  await expectExactUsage();
});
