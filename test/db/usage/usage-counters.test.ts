import { afterEach, expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { upload, add, finish, claimImport, softDelete, restore, purge } = catalog;

/** Returns the figures of the shop, after checking them against the tables. */
async function usage() {
  const counted = await usageFromCounters(database);
  expect(counted).toEqual(await usageFromRows(database));
  const { images, renditions, originalBytes, renditionBytes } = counted[0]!;
  return { images, renditions, originalBytes, renditionBytes };
}

/** Adds a picture with a name of four letters: an original of 1000 bytes, renditions of 14 and 304. */
const one = { images: 1, renditions: 2, originalBytes: 1000, renditionBytes: 318 };
const nothing = { images: 0, renditions: 0, originalBytes: 0, renditionBytes: 0 };
const waiting = { ...one, renditions: 0, renditionBytes: 0 };
const both = { images: 2, renditions: 4, originalBytes: 1000, renditionBytes: 318 };

/** Imports a duplicate of the image with this content. */
async function addCopy(content: string): Promise<number> {
  const job = await claimImport(`https://example.com/${content}`);
  expect(await catalog.completeAsDuplicate(job, content)).toMatchObject({ status: 'completed' });
  return job.imageId;
}

/** Adds an image with other content that uses the renditions of the donor. */
async function addSharer(content: string, donorId: number): Promise<number> {
  const job = await upload(content);
  expect(await catalog.completeWithDonor(job, content, donorId)).toMatchObject({
    renditionsReusedFrom: donorId,
  });
  return job.imageId;
}

afterEach(async () => {
  // Folding moves the figures without changing them.
  const before = await usageFromCounters(database);
  await catalog.usage.fold();
  expect(await usageFromCounters(database)).toEqual(before);
});

test('counts an upload when it is recorded, and its renditions when they are made', async () => {
  const job = await upload('vase');
  expect(await usage()).toEqual(waiting);
  await finish(job, 'vase');
  expect(await usage()).toEqual(one);
});

test('counts a failed image with its original, and a withdrawn one not at all', async () => {
  await catalog.fail(await upload('vase'));
  expect(await usage()).toEqual(waiting);
  await catalog.withdraw(await upload('lamp'), 'lamp');
  expect(await usage()).toEqual(waiting);
});

test('does not count a deleted image until it is restored', async () => {
  const id = await add('vase');
  await softDelete(id);
  expect(await usage()).toEqual(nothing);
  await catalog.usage.fold();
  await restore(id);
  expect(await usage()).toEqual(one);
});

test('counts an import at once, and its bytes when it receives them', async () => {
  const job = await claimImport('https://example.com/vase');
  expect(await usage()).toEqual({ ...nothing, images: 1 });
  await catalog.attach(job, 'vase');
  expect(await usage()).toEqual(waiting);
  await finish(job, 'vase');
  expect(await usage()).toEqual(one);
});

test('counts no bytes for a duplicate until the first image is deleted', async () => {
  const first = await add('vase');
  const copy = await addCopy('vase');
  expect(await usage()).toEqual(both);
  await softDelete(first);
  expect(await usage()).toEqual(one);
  await restore(first);
  expect(await usage()).toEqual(both);
  await softDelete(first);
  await purge(first);
  expect(await usage()).toEqual(one);
  await purge(copy);
  expect(await usage()).toEqual(nothing);
});

test('counts no bytes for a duplicate that was imported while the first image was processed', async () => {
  const job = await upload('vase');
  const copy = await claimImport('https://example.com/vase');
  await catalog.attach(copy, 'vase');
  await finish(job, 'vase');
  await finish(copy, 'vase');
  expect(await usage()).toEqual(both);
  await softDelete(copy.imageId);
  expect(await usage()).toEqual(one);
});

test('counts only the original of a near-duplicate until its donor is deleted', async () => {
  const donor = await add('vase');
  const sharer = await addSharer('jugs', donor);
  const shared = { ...both, originalBytes: 2000 };
  expect(await usage()).toEqual(shared);
  await softDelete(donor);
  expect(await usage()).toEqual(one);
  await restore(donor);
  expect(await usage()).toEqual(shared);
  await purge(donor);
  expect(await usage()).toEqual(one);
  await purge(sharer);
  expect(await usage()).toEqual(nothing);
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
  expect(await usage()).toEqual(one);
});

test('counts an image that was deleted while it was processed when it is restored', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  await finish(job, 'vase');
  expect(await usage()).toEqual(nothing);
  await restore(job.imageId);
  expect(await usage()).toEqual(one);
});

test('counts content once that was deleted and uploaded again, also after a restoration', async () => {
  const old = await add('vase');
  await softDelete(old);
  await add('vase');
  expect(await usage()).toEqual(one);
  await restore(old);
  expect(await usage()).toEqual(both);
  await purge(old);
  expect(await usage()).toEqual(one);
});

test('counts renditions that are made again with their new sizes', async () => {
  const id = await add('vase');
  await catalog.jobs.requeue(id, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const larger = catalog
    .renditionsOf('vase')
    .map((rendition) => ({ ...rendition, bytes: rendition.bytes + 1 }));
  await finish(job!, 'vase', larger);
  expect(await usage()).toEqual({ ...one, renditionBytes: 320 });
});

test('counts replaced files with the images that still use them', async () => {
  const donor = await add('vase');
  await addSharer('jugs', donor);
  await catalog.jobs.requeue(donor, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const other = catalog.renditionsOf('vase').map((rendition) => ({
    ...rendition,
    recipe: 'ffffffffff',
    storageKey: rendition.storageKey.replace(rendition.recipe, 'ffffffffff'),
  }));
  await finish(job!, 'vase', other);
  expect(await usage()).toEqual({ images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 636 });
});
