import { afterEach, expect, test } from 'vitest';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
// A near-duplicate (the sharer) can reuse the renditions of an older image (the donor).
const { upload, add, addCopy, addSharer, finish, claimImport, softDelete, restore, purge } = catalog;

/** Checks the counters against the tables and returns the shop’s usage. */
async function checkUsage() {
  const counters = await usageFromCounters(database);
  expect(counters).toEqual(await usageFromRows(database));
  const { images, renditions, originalBytes, renditionBytes } = counters[0]!;
  return { images, renditions, originalBytes, renditionBytes };
}

/** Usage of one image. In these tests, originals are 1000 bytes, and an image’s two renditions are 14 and 304 bytes. */
const oneImage = { images: 1, renditions: 2, originalBytes: 1000, renditionBytes: 318 };
const noUsage = { images: 0, renditions: 0, originalBytes: 0, renditionBytes: 0 };
const onlyOriginal = { ...oneImage, renditions: 0, renditionBytes: 0 };
const imageAndDuplicate = { images: 2, renditions: 4, originalBytes: 1000, renditionBytes: 318 };

afterEach(async () => {
  // Folding moves the recorded changes into the totals, which must not change the usage.
  const usageBefore = await usageFromCounters(database);
  await catalog.usage.foldDeltas();
  expect(await usageFromCounters(database)).toEqual(usageBefore);
});

test('counts an upload when it is recorded, and its renditions when they are created', async () => {
  const job = await upload('vase');
  expect(await checkUsage()).toEqual(onlyOriginal);
  await finish(job, 'vase');
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts the original of a failed image, but nothing for a withdrawn upload', async () => {
  await catalog.fail(await upload('vase'));
  expect(await checkUsage()).toEqual(onlyOriginal);
  await catalog.withdraw(await upload('lamp'), 'lamp');
  expect(await checkUsage()).toEqual(onlyOriginal);
});

test('does not count a deleted image until it is restored', async () => {
  const id = await add('vase');
  await softDelete(id);
  expect(await checkUsage()).toEqual(noUsage);
  await catalog.usage.foldDeltas();
  await restore(id);
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts an import when it is recorded, and its bytes when its content is attached', async () => {
  const job = await claimImport('https://example.com/vase');
  expect(await checkUsage()).toEqual({ ...noUsage, images: 1 });
  await catalog.attach(job, 'vase');
  expect(await checkUsage()).toEqual(onlyOriginal);
  await finish(job, 'vase');
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts no bytes for a duplicate until the image that it duplicates is deleted', async () => {
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  expect(await checkUsage()).toEqual(imageAndDuplicate);
  await softDelete(firstId);
  expect(await checkUsage()).toEqual(oneImage);
  await restore(firstId);
  expect(await checkUsage()).toEqual(imageAndDuplicate);
  await softDelete(firstId);
  await purge(firstId);
  expect(await checkUsage()).toEqual(oneImage);
  await purge(copyId);
  expect(await checkUsage()).toEqual(noUsage);
});

test('counts no bytes for a duplicate that is imported while the image that it duplicates is being processed', async () => {
  const job = await upload('vase');
  const copyJob = await claimImport('https://example.com/vase');
  await catalog.attach(copyJob, 'vase');
  await finish(job, 'vase');
  await finish(copyJob, 'vase');
  expect(await checkUsage()).toEqual(imageAndDuplicate);
  await softDelete(copyJob.imageId);
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts only the original of a near-duplicate until the image whose renditions it reuses is deleted', async () => {
  const donorId = await add('vase');
  const sharerId = await addSharer('jugs', donorId);
  const usageWithSharer = { ...imageAndDuplicate, originalBytes: 2000 };
  expect(await checkUsage()).toEqual(usageWithSharer);
  await softDelete(donorId);
  expect(await checkUsage()).toEqual(oneImage);
  await restore(donorId);
  expect(await checkUsage()).toEqual(usageWithSharer);
  await purge(donorId);
  expect(await checkUsage()).toEqual(oneImage);
  await purge(sharerId);
  expect(await checkUsage()).toEqual(noUsage);
});

test('counts shared files only once, regardless of which image is deleted', async () => {
  const donorId = await add('vase');
  const sharerIds = [await addSharer('jugs', donorId), await addSharer('bowl', donorId)];
  const copyId = await addCopy('jugs');
  expect(await checkUsage()).toEqual({ images: 4, renditions: 8, originalBytes: 3000, renditionBytes: 318 });
  for (const id of [donorId, sharerIds[0]!, copyId]) {
    await softDelete(id);
    expect((await checkUsage()).renditionBytes).toBe(318);
  }
  await restore(donorId);
  await purge(sharerIds[1]!);
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts an image that was deleted during processing only after its restoration', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  await finish(job, 'vase');
  expect(await checkUsage()).toEqual(noUsage);
  await restore(job.imageId);
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts the bytes once if content is deleted, uploaded again and then restored', async () => {
  const firstId = await add('vase');
  await softDelete(firstId);
  await add('vase');
  expect(await checkUsage()).toEqual(oneImage);
  await restore(firstId);
  expect(await checkUsage()).toEqual(imageAndDuplicate);
  await purge(firstId);
  expect(await checkUsage()).toEqual(oneImage);
});

test('counts the new sizes when renditions are derived again', async () => {
  const id = await add('vase');
  await catalog.jobs.requeue(id, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const largerRenditions = catalog
    .makeRenditions('vase')
    .map((rendition) => ({ ...rendition, bytes: rendition.bytes + 1 }));
  await finish(job!, 'vase', largerRenditions);
  expect(await checkUsage()).toEqual({ ...oneImage, renditionBytes: 320 });
});

/** Completes a job with a different recipe (a hash of the rendition settings), which gives the files new names. */
async function replaceFiles(job: ClaimedJob, content: string): Promise<void> {
  const newRenditions = catalog.makeRenditions(content).map((rendition) => ({
    ...rendition,
    recipe: 'ffffffffff',
    storageKey: rendition.storageKey.replace(rendition.recipe, 'ffffffffff'),
  }));
  await finish(job, content, newRenditions);
}

test('still counts replaced files that another image uses', async () => {
  const donorId = await add('vase');
  await addSharer('jugs', donorId);
  await catalog.jobs.requeue(donorId, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  await replaceFiles(job!, 'vase');
  expect(await checkUsage()).toEqual({ images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 636 });
});

test('counts shared files once if the image that made them is deleted while it is being processed again', async () => {
  const donorId = await add('vase');
  await addSharer('jugs', donorId);
  await addSharer('cups', donorId);
  const usageBefore = { images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 318 };
  await catalog.jobs.requeue(donorId, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  await softDelete(donorId);
  expect(await checkUsage()).toEqual(usageBefore);
  await replaceFiles(job!, 'vase');
  expect(await checkUsage()).toEqual(usageBefore);
});
