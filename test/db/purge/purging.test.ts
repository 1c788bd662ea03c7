import { expect, test } from 'vitest';
import type { RemovedImage } from '../../../src/db/purge/purging.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { rowOf, rowsOf, useDatabase } from '../../support/inner/database.ts';
import { hashOf, uploadOf } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const {
  add,
  addCopy,
  addSharer,
  upload,
  softDelete,
  restore,
  purge,
  findPurgeCandidate,
  purging,
  renditionsOf,
} = catalog;
const tomorrow = new Date(Date.now() + 86_400_000);

const originalKeyFor = (content: string) => uploadOf(shop.id, content).originalKey;
const renditionKeys = (content: string) => renditionsOf(content).map(({ storageKey }) => storageKey);
const removedKeys = (removedImage: RemovedImage | undefined) =>
  removedImage?.files.map(({ key }) => key).toSorted();
const expectedKeys = (content: string) => [originalKeyFor(content), ...renditionKeys(content)].toSorted();

test('removes the rows of an image and returns its files with their sizes', async () => {
  const id = await add('vase');
  const removedImage = await purge(id);
  expect(removedImage).toEqual({ renditions: 2, files: expect.any(Array) as unknown });
  expect(removedImage?.files).toHaveLength(3);
  expect(removedImage?.files).toContainEqual({ key: originalKeyFor('vase'), bytes: 1000 });
  expect(removedKeys(removedImage)).toEqual(expectedKeys('vase'));
  expect(
    await rowOf(
      database,
      'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM renditions) AS renditions',
    ),
  ).toEqual({ images: 0, renditions: 0 });
});

test('keeps an image that has changed since it was listed', async () => {
  const changes = {
    used: (id: number) => catalog.references.add(id, 'page'),
    requeued: (id: number) => catalog.jobs.requeue(id, 50),
    deleted: (id: number) => softDelete(id),
  };
  for (const [name, change] of Object.entries(changes)) {
    const id = await add(name);
    const candidate = await findPurgeCandidate(id);
    await change(id);
    expect(await purging.remove(candidate!, { unusedWithMinAgeDays: 0 }), name).toBeUndefined();
  }
  const restoredId = await add('restored');
  await softDelete(restoredId);
  const candidate = await findPurgeCandidate(restoredId);
  await restore(restoredId);
  expect(await purging.remove(candidate!, { deletedBefore: tomorrow })).toBeUndefined();
  const recentId = await add('recently deleted');
  await softDelete(recentId);
  const recentCandidate = await findPurgeCandidate(recentId);
  const cutoff = new Date(Date.now() - 60_000);
  expect(await purging.remove(recentCandidate!, { deletedBefore: cutoff })).toBeUndefined();
  expect((await rowsOf(database, 'SELECT id FROM images')).length).toBe(5);
});

test('keeps a deleted image until its job ends', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  expect(await purge(job.imageId)).toBeUndefined();
  await catalog.finish(job, 'vase');
  expect(removedKeys(await purge(job.imageId))).toEqual(expectedKeys('vase'));
});

test('keeps the files of duplicates until the last duplicate is purged', async () => {
  const ids = [await add('vase'), await addCopy('vase'), await addCopy('vase')];
  expect(await purge(ids[0]!)).toEqual({ renditions: 2, files: [] });
  expect((await catalog.image(ids[1]!))?.duplicateOf).toBeNull();
  await softDelete(ids[1]!);
  expect(await purge(ids[2]!)).toEqual({ renditions: 2, files: [] });
  expect(removedKeys(await purge(ids[1]!))).toEqual(expectedKeys('vase'));
});

test('purges the donor’s original, but keeps the renditions that a near-duplicate reuses', async () => {
  const donorId = await add('vase');
  const sharerId = await addSharer('jugs', donorId);
  expect(removedKeys(await purge(donorId))).toEqual([originalKeyFor('vase')]);
  const remainingImage = await catalog.image(sharerId);
  expect(remainingImage).toMatchObject({ renditionsReusedFrom: null });
  expect(remainingImage?.renditions.map(({ storageKey }) => storageKey)).toEqual(
    renditionKeys('vase').toSorted(),
  );
  expect(removedKeys(await purge(sharerId))).toEqual(
    [originalKeyFor('jugs'), ...renditionKeys('vase')].toSorted(),
  );
});

test('removes the files if only another tenant has the same content', async () => {
  const otherCatalog = makeCatalog(database, (await makeTenantQueries(database).ensure('other')).id);
  await otherCatalog.add('vase');
  expect(removedKeys(await purge(await add('vase')))).toEqual(expectedKeys('vase'));
});

test('removes a fingerprint and embedding with the last image of the content, and a near-duplicate pair with either image', async () => {
  const countDescriptions = async () => [
    (await rowsOf(database, `SELECT 1 FROM fingerprints WHERE content_hash = '${hashOf('vase')}'`)).length,
    (await rowsOf(database, `SELECT 1 FROM embeddings WHERE content_hash = '${hashOf('vase')}'`)).length,
  ];
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  await add('lamp');
  await database.runScript(`
    INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
    VALUES (${copyId}, ${firstId}, 1, 1, 'alike'), (${firstId}, ${copyId}, 1, 1, 'alike')`);
  await purge(firstId);
  expect(await countDescriptions()).toEqual([1, 1]);
  expect(await rowsOf(database, 'SELECT 1 FROM near_duplicates')).toEqual([]);
  await softDelete(copyId);
  expect(await countDescriptions()).toEqual([1, 1]);
  await purge(copyId);
  expect(await countDescriptions()).toEqual([0, 0]);
  expect(await rowsOf(database, 'SELECT 1 FROM fingerprints')).toHaveLength(1);
});

test('keeps the failed jobs of a purged image for diagnosis', async () => {
  const job = await upload('poison');
  await catalog.fail(job);
  await purge(job.imageId);
  expect(await rowsOf(database, 'SELECT id, image_id FROM poison_jobs')).toEqual([
    { id: job.id, image_id: null },
  ]);
});

test('promotes the oldest duplicate when an unused first image is purged', async () => {
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  await purge(firstId);
  expect((await catalog.images.findByContent(shop.id, hashOf('vase')))?.id).toBe(copyId);
  await expect(upload('vase')).rejects.toThrow('vase is already known');
});
