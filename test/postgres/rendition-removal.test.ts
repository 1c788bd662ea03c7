import { expect, test } from 'vitest';
import { makePreset } from '../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../src/model/principal.ts';
import { makeDerivedFileSweeps } from '../../src/services/sweep/derived-files.ts';
import { closeGate } from '../support/inner/gate.ts';
import { drawProduct, makeUniquePicture } from '../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

/** Tests races between the removal of renditions and requests for them. */

const resources = await useTestResources();
const { database } = resources;
const card = makePreset({ name: 'card', width: 40, height: 40 });
const { signal } = new AbortController();

const load = (rig: Rig, { uuid }: { uuid: string }) =>
  rig.services.deliver.load(everyone, { uuid, preset: 'card', density: 1, format: 'webp' }, signal);
const evictAll = (rig: Rig) =>
  makeDerivedFileSweeps({ ...rig, maxDerivedBytes: 0, oldRenditionDays: 7 }).evict();
const webpOf = async (rig: Rig, { id }: { id: number }) =>
  (await rig.image(id))?.renditions.find(({ format }) => format === 'webp');

async function expectConsistent(rig: Rig, tenantId: number): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  expect(await rig.recounting.repairOwners(tenantId)).toBe(0);
}

/** Adds an image whose WebP exists, and a near-duplicate that shares its first renditions. */
async function addPair() {
  const rig = await makeRig(resources, { presets: [card], readCacheBytes: 2 ** 20, nearDuplicates: 'reuse' });
  const { image: donor } = await rig.upload(await drawProduct());
  const { image: copy } = await rig.upload(await drawProduct({ quality: 60 }));
  expect(copy.renditionsReusedFrom).toBe(donor.id);
  await load(rig, donor);
  rig.renderedFiles.length = 0;
  return { rig, donor, copy, webp: (await webpOf(rig, donor))! };
}

test('makes an own file if the rendition of the donor is evicted just before it is shared', async () => {
  const { rig, donor, copy, webp } = await addPair();
  const gate = await closeGate(database, 'AFTER DELETE ON renditions', `OLD.id = ${webp.id}`);
  const eviction = evictAll(rig);
  await gate.untilBlocked(1);
  const loading = load(rig, copy);
  await gate.untilBlocked(2, loading);
  await gate.open();
  expect(await eviction).toBe(1);
  const loaded = await loading;
  expect(rig.renderedFiles).toEqual(['card.webp']);
  const own = (await webpOf(rig, copy))!;
  expect(own.storageKey).toContain(copy.contentHash);
  expect(await rig.storage.readAll(own.storageKey)).toEqual('body' in loaded && loaded.body);
  expect(await rig.storedKeys()).not.toContain(webp.storageKey);
  await expectConsistent(rig, donor.tenantId);
});

test('keeps the file of a rendition that is shared just before it is evicted', async () => {
  const { rig, donor, copy, webp } = await addPair();
  const gate = await closeGate(database, 'AFTER INSERT ON renditions', `NEW.image_id = ${copy.id}`);
  const loading = load(rig, copy);
  await gate.untilBlocked(1);
  const removal = rig.renditionRemoval.remove({ ...webp, imageId: donor.id }, 'on-request');
  await gate.untilBlocked(2, removal);
  await gate.open();
  expect(await removal).toBe('still-shared');
  await loading;
  expect(rig.renderedFiles).toEqual([]);
  const file = { key: webp.storageKey, tenantId: donor.tenantId, contentHash: donor.contentHash! };
  expect(await rig.storedFiles.removeUnused(file, () => rig.storage.remove(file.key))).toBe(false);
  expect(await webpOf(rig, copy)).toMatchObject({ storageKey: webp.storageKey });
  expect(await rig.storage.readAll(webp.storageKey)).toHaveLength(webp.bytes);
  await expectConsistent(rig, donor.tenantId);
});

test('does not remove a superseded rendition that is recorded again just before', async () => {
  const { rig, donor, webp } = await addPair();
  await database.runScript(
    `UPDATE renditions SET superseded_at = now() - interval '8 days' WHERE id = ${webp.id}`,
  );
  const gate = await closeGate(database, 'AFTER UPDATE ON renditions', `NEW.id = ${webp.id}`);
  const { id: _id, ...rendition } = webp;
  const recording = rig.variants.record({
    imageId: donor.id,
    renditions: [rendition],
    focalPoint: null,
    hasFiles: () => Promise.resolve(true),
  });
  await gate.untilBlocked(1);
  const removal = makeDerivedFileSweeps({
    ...rig,
    maxDerivedBytes: null,
    oldRenditionDays: 7,
  }).removeSuperseded();
  await gate.untilBlocked(2, removal);
  await gate.open();
  expect(await recording).toHaveLength(1);
  expect(await removal).toBe(0);
  expect(await webpOf(rig, donor)).toMatchObject({ id: webp.id });
  expect(await rig.storedKeys()).toContain(webp.storageKey);
  await expectConsistent(rig, donor.tenantId);
});

test('two processes that evict while renditions are requested leave neither files without rows nor wrong counters', async () => {
  const rig = await makeRig(resources, { presets: [card], readCacheBytes: 2 ** 20 });
  const images = [];
  for (let index = 0; index < 8; index++) {
    const { image } = await rig.upload(await makeUniquePicture());
    await load(rig, image);
    images.push(image);
  }
  const removed = await Promise.all([
    evictAll(rig),
    evictAll(rig),
    ...images.map((image) => load(rig, image)),
  ]);
  expect(removed[0] + removed[1]).toBeGreaterThanOrEqual(8);
  await evictAll(rig);
  expect((await rig.storedKeys()).filter((key) => key.endsWith('.webp'))).toEqual([]);
  expect(await rig.renditionRemoval.list('on-request', 10)).toEqual([]);
  await expectConsistent(rig, images[0]!.tenantId);
});
