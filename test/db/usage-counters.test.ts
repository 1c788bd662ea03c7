import { afterEach, expect, test } from 'vitest';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { useDatabase } from '../support/inner/database.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { countedUsage, recountedUsage } from '../support/inner/recount.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { upload, add, finish, beginImport, hide, restore, purge } = catalog;

/** The figures of the shop, after a look whether the tables give the same. */
async function usage() {
  const counted = await countedUsage(database);
  expect(counted).toEqual(await recountedUsage(database));
  const { images, renditions, originalBytes, renditionBytes } = counted[0]!;
  return { images, renditions, originalBytes, renditionBytes };
}

/** A picture with a name of four letters: an original of 1000 bytes, renditions of 14 and 304. */
const one = { images: 1, renditions: 2, originalBytes: 1000, renditionBytes: 318 };
const nothing = { images: 0, renditions: 0, originalBytes: 0, renditionBytes: 0 };
const waiting = { ...one, renditions: 0, renditionBytes: 0 };
const both = { images: 2, renditions: 4, originalBytes: 1000, renditionBytes: 318 };

/** An image that shares the files of the one with this content. */
async function addCopy(content: string): Promise<number> {
  const job = await beginImport(`https://example.com/${content}`);
  expect(await catalog.shareKnown(job, content)).toMatchObject({ status: 'completed' });
  return job.imageId;
}

/** An image of other content that shows the renditions of the donor. */
async function addSharer(content: string, donorId: number): Promise<number> {
  const job = await upload(content);
  expect(await catalog.shareWith(job, content, donorId)).toMatchObject({ renditionsReusedFrom: donorId });
  return job.imageId;
}

afterEach(async () => {
  // Folding moves figures and changes none.
  const before = await countedUsage(database);
  await catalog.usage.fold();
  expect(await countedUsage(database)).toEqual(before);
});

test('an upload counts from its arrival, its renditions when they are there', async () => {
  const job = await upload('vase');
  expect(await usage()).toEqual(waiting);
  await finish(job, 'vase');
  expect(await usage()).toEqual(one);
});

test('a failed image counts with its original, a withdrawn one not at all', async () => {
  await catalog.fail(await upload('vase'));
  expect(await usage()).toEqual(waiting);
  await catalog.withdraw(await upload('lamp'), 'lamp');
  expect(await usage()).toEqual(waiting);
});

test('a deleted image does not count, a restored one does again', async () => {
  const id = await add('vase');
  await hide(id);
  expect(await usage()).toEqual(nothing);
  await catalog.usage.fold();
  await restore(id);
  expect(await usage()).toEqual(one);
});

test('an import counts as an image at once, and with its bytes when it has some', async () => {
  const job = await beginImport('https://example.com/vase');
  expect(await usage()).toEqual({ ...nothing, images: 1 });
  await catalog.attach(job, 'vase');
  expect(await usage()).toEqual(waiting);
  await finish(job, 'vase');
  expect(await usage()).toEqual(one);
});

test('an exact copy costs no bytes, and inherits them when the first image goes', async () => {
  const first = await add('vase');
  const copy = await addCopy('vase');
  expect(await usage()).toEqual(both);
  await hide(first);
  expect(await usage()).toEqual(one);
  await restore(first);
  expect(await usage()).toEqual(both);
  await hide(first);
  await purge(first);
  expect(await usage()).toEqual(one);
  await purge(copy);
  expect(await usage()).toEqual(nothing);
});

test('a copy that came while the first image was in work costs no bytes either', async () => {
  const job = await upload('vase');
  const copy = await beginImport('https://example.com/vase');
  await catalog.attach(copy, 'vase');
  await finish(job, 'vase');
  await finish(copy, 'vase');
  expect(await usage()).toEqual(both);
  await hide(copy.imageId);
  expect(await usage()).toEqual(one);
});

test('a near-duplicate that shares renditions costs its own original only, and inherits the rest', async () => {
  const donor = await add('vase');
  const sharer = await addSharer('jugs', donor);
  const shared = { ...both, originalBytes: 2000 };
  expect(await usage()).toEqual(shared);
  await hide(donor);
  expect(await usage()).toEqual(one);
  await restore(donor);
  expect(await usage()).toEqual(shared);
  await purge(donor);
  expect(await usage()).toEqual(one);
  await purge(sharer);
  expect(await usage()).toEqual(nothing);
});

test('of several sharers exactly one owns the files, whoever goes', async () => {
  const donor = await add('vase');
  const sharers = [await addSharer('jugs', donor), await addSharer('bowl', donor)];
  const copy = await addCopy('jugs');
  expect(await usage()).toEqual({ images: 4, renditions: 8, originalBytes: 3000, renditionBytes: 318 });
  for (const id of [donor, sharers[0]!, copy]) {
    await hide(id);
    expect((await usage()).renditionBytes).toBe(318);
  }
  await restore(donor);
  await purge(sharers[1]!);
  expect(await usage()).toEqual(one);
});

test('an image that is deleted while work on it is under way counts when it comes back', async () => {
  const job = await upload('vase');
  await hide(job.imageId);
  await finish(job, 'vase');
  expect(await usage()).toEqual(nothing);
  await restore(job.imageId);
  expect(await usage()).toEqual(one);
});

test('content that was deleted and uploaded anew counts once, also when the deleted image comes back', async () => {
  const old = await add('vase');
  await hide(old);
  await add('vase');
  expect(await usage()).toEqual(one);
  await restore(old);
  expect(await usage()).toEqual(both);
  await purge(old);
  expect(await usage()).toEqual(one);
});

test('renditions that are made again count with their new sizes', async () => {
  const id = await add('vase');
  await catalog.jobs.requeue(id, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const larger = catalog.renditionsOf('vase').map((made) => ({ ...made, bytes: made.bytes + 1 }));
  await finish(job!, 'vase', larger);
  expect(await usage()).toEqual({ ...one, renditionBytes: 320 });
});

test('when the owner gets files by another recipe, the old ones count with those who still show them', async () => {
  const donor = await add('vase');
  await addSharer('jugs', donor);
  await catalog.jobs.requeue(donor, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const other = catalog.renditionsOf('vase').map((made) => ({
    ...made,
    recipe: 'ffffffffff',
    storageKey: made.storageKey.replace(made.recipe, 'ffffffffff'),
  }));
  await finish(job!, 'vase', other);
  expect(await usage()).toEqual({ images: 2, renditions: 4, originalBytes: 2000, renditionBytes: 636 });
});
