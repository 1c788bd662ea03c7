import { expect, test } from 'vitest';
import { openPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { rowOf, rowsOf, useDatabase } from '../support/inner/database.ts';
import { closeGate } from '../support/inner/gate.ts';
import { attemptOf } from '../support/inner/jobs.ts';
import { derivedFactsOf, hashOf } from '../support/inner/records.ts';
import { countedUsage, recountedUsage } from '../support/inner/recount.ts';

/** What removals do to each other, and to what is recorded at the same moment. */

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
// Deadlocks are to be found at once.
await database.runScript(`
  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$`);

async function expectExactUsage(): Promise<void> {
  expect(await countedUsage(database)).toEqual(await recountedUsage(database));
}

/** An image that shows the renditions of another one. */
async function addSharing(content: string, donorId: number, donorContent: string): Promise<number> {
  const job = await catalog.upload(content);
  await catalog.shareWith(job, donorContent, donorId);
  return job.imageId;
}

const nearTo = (id: number, uuid = '') => [{ id, uuid, distance: 1, difference: 1, reason: 'alike' }];

const removals = { hide: (id: number) => catalog.hide(id), purge: (id: number) => catalog.purge(id) };
const pairs = [
  ['hide', 'hide'],
  ['hide', 'purge'],
  ['purge', 'hide'],
  ['purge', 'purge'],
] as const;

test.each(pairs)(
  'two images that share renditions and go at the same moment (%s, %s) leave nothing in the counters',
  async (first, second) => {
    const lender = await catalog.add('lender');
    const borrower = await addSharing('borrower', lender, 'lender');
    const gate = await closeGate(
      database,
      'AFTER UPDATE ON images',
      `NEW.id = ${borrower} AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL`,
    );
    const one = removals[first](borrower);
    await gate.waiting(1);
    const other = removals[second](lender);
    await gate.waiting(2, other);
    await gate.open();
    await Promise.all([one, other]);
    await expectExactUsage();
    expect(await countedUsage(database)).toMatchObject([{ images: 0, originalBytes: 0, renditionBytes: 0 }]);
  },
);

test('a borrower that makes renditions of its own while the lender goes hands on what it owned for a moment', async () => {
  const lender = await catalog.add('lender');
  const borrower = await addSharing('borrower', lender, 'lender');
  await addSharing('third', lender, 'lender');
  await catalog.jobs.requeue(borrower, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const gate = await closeGate(database, 'AFTER UPDATE ON renditions', `NEW.image_id = ${borrower}`);
  const hiding = catalog.hide(lender);
  await gate.waiting(1);
  const remaking = catalog.finish(job!, 'borrower');
  await gate.waiting(2, remaking);
  await gate.open();
  await Promise.all([hiding, remaking]);
  await expectExactUsage();
});

test('an upload that is withdrawn leaves its place to the imports of the same bytes', async () => {
  const job = await catalog.upload('broken');
  const imports = [];
  for (const url of ['https://example.com/1', 'https://example.com/2']) {
    const held = await catalog.beginImport(url);
    await catalog.attach(held, 'broken');
    imports.push(held);
  }
  expect(await catalog.withdraw(job, 'broken')).toBe(true);
  expect(await catalog.image(job.imageId)).toBeUndefined();
  const [first, second] = imports.map(({ imageId }) => imageId);
  expect(await catalog.image(first!)).toMatchObject({ status: 'processing', duplicateOf: null });
  expect(await catalog.image(second!)).toMatchObject({ duplicateOf: first });
  await expectExactUsage();
});

test('imports that attach while an upload of the same bytes is withdrawn find the way free', async () => {
  const job = await catalog.upload('broken');
  const held = [];
  for (const url of ['https://example.com/1', 'https://example.com/2'])
    held.push(await catalog.beginImport(url));
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawing = catalog.withdraw(job, 'broken');
  await gate.waiting(1);
  const attaching = Promise.all(held.map((one) => catalog.attach(one, 'broken')));
  await gate.waiting(3);
  await gate.open();
  expect(await withdrawing).toBe(true);
  expect(await attaching).toEqual([true, true]);
  const firsts = await rowsOf(database, 'SELECT 1 FROM images WHERE duplicate_of IS NULL');
  expect(firsts).toHaveLength(1);
  await expectExactUsage();
});

test('who comes to know of an upload while it is withdrawn learns that it is gone', async () => {
  const job = await catalog.upload('broken');
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawing = catalog.withdraw(job, 'broken');
  await gate.waiting(1);
  const late = Promise.all([
    catalog.images.acknowledge(job.imageId),
    catalog.references.add(job.imageId, 'product-42'),
  ]);
  await gate.waiting(3);
  await gate.open();
  expect(await withdrawing).toBe(true);
  expect(await late).toEqual(['missing', undefined]);
});

test('a match that is purged while its near-duplicate completes is no match, and no error', async () => {
  const match = await catalog.add('match');
  const job = await catalog.upload('near');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${match}`);
  const purging = catalog.purge(match);
  await gate.waiting(1);
  const facts = derivedFactsOf('near', { nearDuplicates: nearTo(match) });
  const completing = catalog.jobs.complete(job, catalog.renditionsOf('near'), facts);
  await gate.waiting(2);
  await gate.open();
  expect(await purging).toBeDefined();
  expect(await completing).toMatchObject({ id: job.imageId, status: 'completed' });
  expect(await catalog.image(job.imageId)).toMatchObject({ nearDuplicates: [] });
});

test.each(['match', 'image'])(
  'a late pair of which the %s is purged at this moment is none',
  async (goes) => {
    const ids = { match: await catalog.add('match'), image: await catalog.add('image') };
    const gone = goes === 'match' ? ids.match : ids.image;
    const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${gone}`);
    const purging = catalog.purge(gone);
    await gate.waiting(1);
    const adding = catalog.fingerprints.addNearDuplicates(ids.image, nearTo(ids.match));
    await gate.waiting(2);
    await gate.open();
    expect(await purging).toBeDefined();
    await adding;
    expect(await rowsOf(database, 'SELECT 1 FROM near_duplicates')).toEqual([]);
  },
);

test('a donor that is purged while its borrower completes', async () => {
  const donor = await catalog.add('donor');
  const job = await catalog.upload('borrower');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${donor}`);
  const purging = catalog.purge(donor);
  await gate.waiting(1);
  const sharing = catalog.shareWith(job, 'donor', donor);
  await gate.waiting(2);
  await gate.open();
  await purging;
  expect(await sharing).toBe('donor-unavailable');
  await catalog.finish(job, 'borrower');
  await expectExactUsage();
});

test('a retry and a purge of one image, each of which holds what the other needs, both end', async () => {
  const job = await catalog.upload('failed');
  await catalog.jobs.recordFailure(job, attemptOf('permanent'), { state: 'failed' });
  const gate = await closeGate(database, 'BEFORE UPDATE ON jobs', `NEW.state = 'pending'`);
  const retrying = catalog.jobs.retry(openPrincipal, job.id);
  await gate.waiting(1);
  const purging = catalog.purge(job.imageId);
  await gate.waiting(2);
  await gate.open();
  const [retried, purged] = await Promise.all([retrying, purging]);
  // Whichever came first: a purged image is not tried again, and one in work is not purged.
  expect(retried === 'retried').toBe(purged === undefined);
});

test('an image whose renditions are asked for anew is not purged under its job', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER INSERT ON jobs', `NEW.image_id = ${id}`);
  const asking = catalog.jobs.requeue(id, 50);
  await gate.waiting(1);
  const purging = catalog.purge(id);
  await gate.waiting(2);
  await gate.open();
  expect(await asking).toBeDefined();
  expect(await purging).toBeUndefined();
  expect(await rowsOf(database, 'SELECT 1 FROM jobs WHERE image_id IS NULL')).toEqual([]);
});

test('renditions are asked for anew of an image that is purged at this moment: there is nothing to be done', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${id}`);
  const purging = catalog.purge(id);
  await gate.waiting(1);
  const asking = catalog.jobs.requeue(id, 50);
  await gate.waiting(2);
  await gate.open();
  expect(await purging).toBeDefined();
  expect(await asking).toBeUndefined();
});

test('an import that refers to a known image that is deleted at this moment begins a run of its own', async () => {
  const url = 'https://example.com/known';
  const first = await catalog.beginImport(url);
  await catalog.attach(first, 'known');
  await catalog.finish({ ...first, original: { key: 'k', contentHash: hashOf('known') } }, 'known');
  const line = { tenantId: shop.id, url, urlHash: hashOf(url), reference: 'page' };
  const gate = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const hiding = catalog.hide(first.imageId);
  await gate.waiting(1);
  const importing = catalog.jobs.enqueueUrls([line], 'reuse-completed', 50);
  await gate.waiting(2);
  await gate.open();
  expect(await hiding).toMatchObject({ outcome: 'deleted' });
  const [recorded] = await importing;
  expect(recorded).toMatchObject({ outcome: 'new' });
  expect(
    await rowOf(database, `SELECT in_use_count AS count FROM images WHERE id = ${recorded!.imageId}`),
  ).toEqual({ count: 1 });
});

test('a deletion that meets an import at the moment it gets its content leaves its place to the next import', async () => {
  const job = await catalog.beginImport('https://example.com/1');
  const next = await catalog.beginImport('https://example.com/2');
  const atContent = await closeGate(database, 'AFTER UPDATE ON images', 'OLD.content_hash IS NULL');
  const atDeletion = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const attaching = catalog.attach(job, 'late');
  await atContent.waiting(1);
  const hiding = catalog.hide(job.imageId);
  await atContent.waiting(2);
  await atContent.open();
  await attaching;
  await atDeletion.waiting(1);
  const following = catalog.attach(next, 'late');
  await atDeletion.waiting(2, following);
  await atDeletion.open();
  await Promise.all([hiding, following]);
  expect(await catalog.image(next.imageId)).toMatchObject({ duplicateOf: null });
  await expectExactUsage();
});
