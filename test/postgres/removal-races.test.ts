import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { rowOf, rowsOf, useDatabase } from '../support/inner/database.ts';
import { closeGate } from '../support/inner/gate.ts';
import { attemptOf } from '../support/inner/jobs.ts';
import { derivedFactsOf, hashOf } from '../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';

/** Races of removals with each other and with rows that are recorded concurrently. */

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
// Detects deadlocks quickly: PostgreSQL looks for them only after this timeout.
await database.runScript(`
  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$`);

async function expectExactUsage(): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

/** Adds an image that reuses the renditions of another one. */
async function addSharer(content: string, donorId: number, donorContent: string): Promise<number> {
  const job = await catalog.upload(content);
  await catalog.completeWithDonor(job, donorContent, donorId);
  return job.imageId;
}

const nearDuplicatesOf = (id: number, uuid = '') => [
  { id, uuid, distance: 1, difference: 1, reason: 'alike' },
];

const removals = {
  softDelete: (id: number) => catalog.softDelete(id),
  purge: (id: number) => catalog.purge(id),
};
const pairs = [
  ['softDelete', 'softDelete'],
  ['softDelete', 'purge'],
  ['purge', 'softDelete'],
  ['purge', 'purge'],
] as const;

test.each(pairs)(
  'leaves the counters at zero when two images that share renditions are removed concurrently (%s, %s)',
  async (first, second) => {
    const donor = await catalog.add('donor');
    const sharer = await addSharer('sharer', donor, 'donor');
    const gate = await closeGate(
      database,
      'AFTER UPDATE ON images',
      `NEW.id = ${sharer} AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL`,
    );
    const firstRemoval = removals[first](sharer);
    await gate.untilBlocked(1);
    const secondRemoval = removals[second](donor);
    await gate.untilBlocked(2, secondRemoval);
    await gate.open();
    await Promise.all([firstRemoval, secondRemoval]);
    await expectExactUsage();
    expect(await usageFromCounters(database)).toMatchObject([
      { images: 0, originalBytes: 0, renditionBytes: 0 },
    ]);
  },
);

test('reassigns the files of a removed donor while another image gets renditions of its own', async () => {
  const donor = await catalog.add('donor');
  const sharer = await addSharer('sharer', donor, 'donor');
  await addSharer('third', donor, 'donor');
  await catalog.jobs.requeue(sharer, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const gate = await closeGate(database, 'AFTER UPDATE ON renditions', `NEW.image_id = ${sharer}`);
  const deletion = catalog.softDelete(donor);
  await gate.untilBlocked(1);
  const completing = catalog.finish(job!, 'sharer');
  await gate.untilBlocked(2, completing);
  await gate.open();
  await Promise.all([deletion, completing]);
  await expectExactUsage();
});

test('makes an import the first image when the upload of the same bytes is withdrawn', async () => {
  const job = await catalog.upload('broken');
  const imports = [];
  for (const url of ['https://example.com/1', 'https://example.com/2']) {
    const imported = await catalog.claimImport(url);
    await catalog.attach(imported, 'broken');
    imports.push(imported);
  }
  expect(await catalog.withdraw(job, 'broken')).toBe(true);
  expect(await catalog.image(job.imageId)).toBeUndefined();
  const [first, second] = imports.map(({ imageId }) => imageId);
  expect(await catalog.image(first!)).toMatchObject({ status: 'processing', duplicateOf: null });
  expect(await catalog.image(second!)).toMatchObject({ duplicateOf: first });
  await expectExactUsage();
});

test('attaches imports while the upload of the same bytes is withdrawn', async () => {
  const job = await catalog.upload('broken');
  const imports = [];
  for (const url of ['https://example.com/1', 'https://example.com/2'])
    imports.push(await catalog.claimImport(url));
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawing = catalog.withdraw(job, 'broken');
  await gate.untilBlocked(1);
  const attaching = Promise.all(imports.map((imported) => catalog.attach(imported, 'broken')));
  await gate.untilBlocked(3);
  await gate.open();
  expect(await withdrawing).toBe(true);
  expect(await attaching).toEqual([true, true]);
  const firstImages = await rowsOf(database, 'SELECT 1 FROM images WHERE duplicate_of IS NULL');
  expect(firstImages).toHaveLength(1);
  await expectExactUsage();
});

test('reports an upload as missing if it is acknowledged while it is withdrawn', async () => {
  const job = await catalog.upload('broken');
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawing = catalog.withdraw(job, 'broken');
  await gate.untilBlocked(1);
  const lateChanges = Promise.all([
    catalog.images.acknowledge(job.imageId),
    catalog.references.add(job.imageId, 'product-42'),
  ]);
  await gate.untilBlocked(3);
  await gate.open();
  expect(await withdrawing).toBe(true);
  expect(await lateChanges).toEqual(['missing', undefined]);
});

test('completes a near-duplicate without an error when its match is purged', async () => {
  const match = await catalog.add('match');
  const job = await catalog.upload('near');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${match}`);
  const purging = catalog.purge(match);
  await gate.untilBlocked(1);
  const facts = derivedFactsOf('near', { nearDuplicates: nearDuplicatesOf(match) });
  const completing = catalog.jobs.complete(job, catalog.renditionsOf('near'), facts);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await purging).toBeDefined();
  expect(await completing).toMatchObject({ id: job.imageId, status: 'completed' });
  expect(await catalog.image(job.imageId)).toMatchObject({ nearDuplicates: [] });
});

test.each(['match', 'image'])(
  'records no near-duplicate pair when its %s is purged concurrently',
  async (purged) => {
    const ids = { match: await catalog.add('match'), image: await catalog.add('image') };
    const purgedId = purged === 'match' ? ids.match : ids.image;
    const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${purgedId}`);
    const purging = catalog.purge(purgedId);
    await gate.untilBlocked(1);
    const adding = catalog.fingerprints.addNearDuplicates(ids.image, nearDuplicatesOf(ids.match));
    await gate.untilBlocked(2);
    await gate.open();
    expect(await purging).toBeDefined();
    await adding;
    expect(await rowsOf(database, 'SELECT 1 FROM near_duplicates')).toEqual([]);
  },
);

test('does not reuse renditions of a donor that is purged during the completion', async () => {
  const donor = await catalog.add('donor');
  const job = await catalog.upload('sharer');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${donor}`);
  const purging = catalog.purge(donor);
  await gate.untilBlocked(1);
  const sharing = catalog.completeWithDonor(job, 'donor', donor);
  await gate.untilBlocked(2);
  await gate.open();
  await purging;
  expect(await sharing).toBe('donor-unavailable');
  await catalog.finish(job, 'sharer');
  await expectExactUsage();
});

test('completes a retry and a purge of one image that lock each other’s rows', async () => {
  const job = await catalog.upload('failed');
  await catalog.jobs.recordFailure(job, attemptOf('permanent'), { state: 'failed' });
  const gate = await closeGate(database, 'BEFORE UPDATE ON jobs', `NEW.state = 'pending'`);
  const retrying = catalog.jobs.retry(unrestrictedPrincipal, job.id);
  await gate.untilBlocked(1);
  const purging = catalog.purge(job.imageId);
  await gate.untilBlocked(2);
  await gate.open();
  const [retried, purged] = await Promise.all([retrying, purging]);
  // Either may come first: a purged image is not retried, and a pending one is not purged.
  expect(retried === 'retried').toBe(purged === undefined);
});

test('does not purge an image that was requeued', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER INSERT ON jobs', `NEW.image_id = ${id}`);
  const requeuing = catalog.jobs.requeue(id, 50);
  await gate.untilBlocked(1);
  const purging = catalog.purge(id);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await requeuing).toBeDefined();
  expect(await purging).toBeUndefined();
  expect(await rowsOf(database, 'SELECT 1 FROM jobs WHERE image_id IS NULL')).toEqual([]);
});

test('requeues nothing for an image that is purged concurrently', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${id}`);
  const purging = catalog.purge(id);
  await gate.untilBlocked(1);
  const requeuing = catalog.jobs.requeue(id, 50);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await purging).toBeDefined();
  expect(await requeuing).toBeUndefined();
});

test('imports a URL again when its image is deleted concurrently', async () => {
  const url = 'https://example.com/known';
  const first = await catalog.claimImport(url);
  await catalog.attach(first, 'known');
  await catalog.finish({ ...first, original: { key: 'k', contentHash: hashOf('known') } }, 'known');
  const line = { tenantId: shop.id, url, urlHash: hashOf(url), reference: 'page' };
  const gate = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const deletion = catalog.softDelete(first.imageId);
  await gate.untilBlocked(1);
  const importing = catalog.jobs.enqueueUrls([line], 'reuse-completed', 50);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await deletion).toMatchObject({ outcome: 'deleted' });
  const [recorded] = await importing;
  expect(recorded).toMatchObject({ outcome: 'new' });
  expect(
    await rowOf(database, `SELECT in_use_count AS count FROM images WHERE id = ${recorded!.imageId}`),
  ).toEqual({ count: 1 });
});

test('makes the next import the first image when one is deleted while its content is attached', async () => {
  const job = await catalog.claimImport('https://example.com/1');
  const nextJob = await catalog.claimImport('https://example.com/2');
  const contentGate = await closeGate(database, 'AFTER UPDATE ON images', 'OLD.content_hash IS NULL');
  const deletionGate = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const attaching = catalog.attach(job, 'shared');
  await contentGate.untilBlocked(1);
  const deletion = catalog.softDelete(job.imageId);
  await contentGate.untilBlocked(2);
  await contentGate.open();
  await attaching;
  await deletionGate.untilBlocked(1);
  const attachingNext = catalog.attach(nextJob, 'shared');
  await deletionGate.untilBlocked(2, attachingNext);
  await deletionGate.open();
  await Promise.all([deletion, attachingNext]);
  expect(await catalog.image(nextJob.imageId)).toMatchObject({ duplicateOf: null });
  await expectExactUsage();
});
