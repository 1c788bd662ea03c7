import { afterEach, expect, test } from 'vitest';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { upload, add, addCopy, addSharer, finish, claimImport, softDelete, restore, purge } = catalog;

/** Returns the usage of the shop, after checking the counters against the tables. */
async function usage() {
  const counted = await usageFromCounters(database);
  expect(counted).toEqual(await usageFromRows(database));
  const { images, renditions, originalBytes, renditionBytes } = counted[0]!;
  return { images, renditions, originalBytes, renditionBytes };
}

/** One image whose name has four letters: an original of 1000 bytes, and renditions of 14 and 304. */
const oneImage = { images: 1, renditions: 2, originalBytes: 1000, renditionBytes: 318 };
const empty = { images: 0, renditions: 0, originalBytes: 0, renditionBytes: 0 };
const onlyOriginal = { ...oneImage, renditions: 0, renditionBytes: 0 };
const imageAndDuplicate = { images: 2, renditions: 4, originalBytes: 1000, renditionBytes: 318 };

afterEach(async () => {
  // Folding moves the counts to the totals without changing their sum.
  const before = await usageFromCounters(database);
  await catalog.usage.fold();
  expect(await usageFromCounters(database)).toEqual(before);
});

test('counts an upload when it is recorded, and its renditions when they are made', async () => {
  const job = await upload('vase');
  expect(await usage()).toEqual(onlyOriginal);
  await finish(job, 'vase');
  expect(await usage()).toEqual(oneImage);
});

test('counts the original of a failed image, but nothing of a withdrawn one', async () => {
  await catalog.fail(await upload('vase'));
  expect(await usage()).toEqual(onlyOriginal);
  await catalog.withdraw(await upload('lamp'), 'lamp');
  expect(await usage()).toEqual(onlyOriginal);
});

test('does not count a deleted image until it is restored', async () => {
  const id = await add('vase');
  await softDelete(id);
  expect(await usage()).toEqual(empty);
  await catalog.usage.fold();
  await restore(id);
  expect(await usage()).toEqual(oneImage);
});

test('counts an import when it is recorded, and its bytes when they arrive', async () => {
  const job = await claimImport('https://example.com/vase');
  expect(await usage()).toEqual({ ...empty, images: 1 });
  await catalog.attach(job, 'vase');
  expect(await usage()).toEqual(onlyOriginal);
  await finish(job, 'vase');
  expect(await usage()).toEqual(oneImage);
});

test('counts no bytes for a duplicate until the first image is deleted', async () => {
  const first = await add('vase');
  const copy = await addCopy('vase');
  expect(await usage()).toEqual(imageAndDuplicate);
  await softDelete(first);
  expect(await usage()).toEqual(oneImage);
  await restore(first);
  expect(await usage()).toEqual(imageAndDuplicate);
  await softDelete(first);
  await purge(first);
  expect(await usage()).toEqual(oneImage);
  await purge(copy);
  expect(await usage()).toEqual(empty);
});

test('counts no bytes for a duplicate that is imported while the first image is processed', async () => {
  const job = await upload('vase');
  const copy = await claimImport('https://example.com/vase');
  await catalog.attach(copy, 'vase');
  await finish(job, 'vase');
  await finish(copy, 'vase');
  expect(await usage()).toEqual(imageAndDuplicate);
  await softDelete(copy.imageId);
  expect(await usage()).toEqual(oneImage);
});

test('counts only the original of a near-duplicate until its donor is deleted', async () => {
  const donor = await add('vase');
  const sharer = await addSharer('jugs', donor);
  const shared = { ...imageAndDuplicate, originalBytes: 2000 };
  expect(await usage()).toEqual(shared);
  await softDelete(donor);
  expect(await usage()).toEqual(oneImage);
  await restore(donor);
  expect(await usage()).toEqual(shared);
  await purge(donor);
  expect(await usage()).toEqual(oneImage);
  await purge(sharer);
  expect(await usage()).toEqual(empty);
});

test('keeps exactly one owner of shared files, whichever image is deleted', async () => {
  const donor = await add('vase');
  const sharers = [await addSharer('jugs', donor), await addSharer('bowl', donor)];
  const copy = await addCopy('jugs');
  expect(await usage()).toEqual({ images: 4, renditions: 8, originalBytes: 3000, renditionBytes: 318 });
  for (const id of [donor, sharers[0]!, copy]) {
    await softDelete(id);
    expect((await usage()).renditionBytes).toBe(318);
  }
  await restore(donor);
  await purge(sharers[1]!);
  expect(await usage()).toEqual(oneImage);
});

test('counts an image that was deleted during processing once it is restored', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  await finish(job, 'vase');
  expect(await usage()).toEqual(empty);
  await restore(job.imageId);
  expect(await usage()).toEqual(oneImage);
});

test('counts the bytes of content once if it was deleted and uploaded again, even after a restoration', async () => {
  const first = await add('vase');
  await softDelete(first);
  await add('vase');
  expect(await usage()).toEqual(oneImage);
  await restore(first);
  expect(await usage()).toEqual(imageAndDuplicate);
  await purge(first);
  expect(await usage()).toEqual(oneImage);
});

test('counts renditions that are made again with their new sizes', async () => {
  const id = await add('vase');
  await catalog.jobs.requeue(id, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const larger = catalog
    .renditionsOf('vase')
    .map((rendition) => ({ ...rendition, bytes: rendition.bytes + 1 }));
  await finish(job!, 'vase', larger);
  expect(await usage()).toEqual({ ...oneImage, renditionBytes: 320 });
});

/** Makes the renditions of a job again with another recipe, so that their files have other names. */
async function replaceFiles(job: ClaimedJob, content: string): Promise<void> {
  const replaced = catalog.renditionsOf(content).map((rendition) => ({
    ...rendition,
    recipe: 'ffffffffff',
    storageKey: rendition.storageKey.replace(rendition.recipe, 'ffffffffff'),
  }));
  await finish(job, content, replaced);
}

test('keeps counting replaced files that another image still uses', async () => {
  const donor = await add('vase');
  await addSharer('jugs', donor);
  await catalog.jobs.requeue(donor, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  await replaceFiles(job!, 'vase');
  expect(await usage()).toEqual({ images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 636 });
});

test('counts shared files once if their owner is deleted while its renditions are made again', async () => {
  const donor = await add('vase');
  await addSharer('jugs', donor);
  await addSharer('cups', donor);
  const before = { images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 318 };
  await catalog.jobs.requeue(donor, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  await softDelete(donor);
  expect(await usage()).toEqual(before);
  await replaceFiles(job!, 'vase');
  expect(await usage()).toEqual(before);
});
