import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const otherTenant = await makeTenantQueries(database).ensure('other');
const catalog = makeCatalog(database, shop.id);
// A near-duplicate (the sharer) can reuse the renditions of an older image (the donor).
const { add, addCopy, addSharer, upload, softDelete, restore, purge, purging } = catalog;

/** Checks that the purge summary matches what a purge of all deleted images removes. Returns the removed totals. */
async function expectExactSummary() {
  const { images, renditionsToDelete: renditions, bytes } = await purging.summarizeDeleted(null, 0);
  const deletedImages = await selectRows<{ id: number }>(
    database,
    'SELECT id FROM images WHERE deleted_at IS NOT NULL ORDER BY deleted_at, id',
  );
  const removedTotals = { images: 0, renditions: 0, bytes: 0 };
  for (const { id } of deletedImages) {
    const removedImage = await purge(id);
    removedTotals.images++;
    removedTotals.renditions += removedImage?.renditions ?? 0;
    removedTotals.bytes += removedImage?.files.reduce((sum, file) => sum + file.bytes, 0) ?? 0;
  }
  expect({ images, renditions, bytes }).toEqual(removedTotals);
  expect(await purging.summarizeDeleted(null, 0)).toMatchObject({
    images: 0,
    renditionsToDelete: 0,
    bytes: 0,
  });
  return removedTotals;
}

test('counts only the files of deleted images', async () => {
  const id = await add('vase');
  await add('lamp');
  await softDelete(id);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('counts the files of duplicates only when the last duplicate is deleted', async () => {
  const firstId = await add('vase');
  const copyIds = [await addCopy('vase'), await addCopy('vase')];
  await softDelete(firstId);
  await softDelete(copyIds[0]!);
  expect((await purging.summarizeDeleted(null, 0)).bytes).toBe(0);
  await softDelete(copyIds[1]!);
  expect(await expectExactSummary()).toEqual({ images: 3, renditions: 6, bytes: 1318 });
});

test('counts the original of a deleted image, but not the renditions that a near-duplicate reuses', async () => {
  const donorId = await add('vase');
  const sharerId = await addSharer('jugs', donorId);
  await softDelete(donorId);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1000 });
  await softDelete(sharerId);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('does not count a restored image until it is deleted again', async () => {
  const id = await add('vase');
  await softDelete(id);
  await restore(id);
  expect(await purging.summarizeDeleted(null, 0)).toMatchObject({ images: 0, bytes: 0 });
  await softDelete(id);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('counts renditions that are created after the deletion', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  await catalog.finish(job, 'vase');
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('counts an original that is imported after the deletion', async () => {
  const job = await catalog.claimImport('https://example.com/vase');
  await softDelete(job.imageId);
  await catalog.attach(job, 'vase');
  await catalog.finish(job, 'vase');
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('does not count the files of a deleted image whose content was uploaded again', async () => {
  await softDelete(await add('vase'));
  const secondId = await add('vase');
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 0 });
  await softDelete(secondId);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1318 });
});

test('counts the bytes once if the same content was uploaded and deleted twice', async () => {
  await softDelete(await add('vase'));
  await softDelete(await add('vase'));
  expect(await expectExactSummary()).toEqual({ images: 2, renditions: 4, bytes: 1318 });
});

test('counts only the original of a deleted near-duplicate that shares renditions with a restored image', async () => {
  const donorId = await add('vase');
  const sharerId = await addSharer('jugs', donorId);
  await softDelete(donorId);
  await softDelete(sharerId);
  await restore(donorId);
  expect(await expectExactSummary()).toEqual({ images: 1, renditions: 2, bytes: 1000 });
});

test('does not count files that are shared with a duplicate deleted after the cutoff', async () => {
  const [firstId, copyId] = [await add('vase'), await addCopy('vase')];
  for (const id of [firstId, copyId]) await softDelete(id);
  await database.runScript(
    `UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '10 days' WHERE id = ${firstId}`,
  );
  expect(await purging.summarizeDeleted(null, 9)).toMatchObject({ images: 1, bytes: 0 });
  expect(await expectExactSummary()).toEqual({ images: 2, renditions: 4, bytes: 1318 });
});

test('counts only images that were deleted before the cutoff, for all tenants or for one tenant', async () => {
  const [oldId, recentId] = [await add('vase'), await add('lamp')];
  for (const id of [oldId, recentId]) await softDelete(id);
  await database.runScript(
    `UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '10 days' WHERE id = ${oldId}`,
  );
  expect(await purging.summarizeDeleted(null, 9)).toMatchObject({ images: 1, bytes: 1318 });
  expect(await purging.summarizeDeleted(null, 11)).toMatchObject({ images: 0, bytes: 0 });
  expect(await purging.summarizeDeleted(null, 0)).toMatchObject({ images: 2, bytes: 2636 });
  expect(await purging.summarizeDeleted(shop.id, 0)).toMatchObject({ images: 2 });
  expect(await purging.summarizeDeleted(otherTenant.id, 0)).toMatchObject({ images: 0, bytes: 0 });
  const { cutoff } = await purging.summarizeDeleted(null, 9);
  expect(Date.now() - cutoff.getTime()).toBeCloseTo(9 * 86_400_000, -4);
});

test.each([null, shop.id])(
  'finds renditions older than the cutoff, including those of deleted images (tenant %s)',
  async (tenantId) => {
    await softDelete(await add('deleted'));
    await add('kept');
    const countRenditions = async (days: number) =>
      (await purging.summarizeDeleted(tenantId, days)).renditionsFound;
    expect([await countRenditions(0), await countRenditions(1)]).toEqual([4, 0]);
    await database.runScript("UPDATE renditions SET created_at = now() - interval '3 days' WHERE id <= 3");
    expect([await countRenditions(0), await countRenditions(2), await countRenditions(4)]).toEqual([4, 3, 0]);
  },
);
