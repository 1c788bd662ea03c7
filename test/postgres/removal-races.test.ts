import { expect, test } from 'vitest';
import { unrestrictedPrincipal, systemPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../support/inner/database.ts';
import { closeGate } from '../support/inner/gate.ts';
import { makeFailedAttempt } from '../support/inner/jobs.ts';
import { makeDerivedFacts, makePair, sha256Hex } from '../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';

/** Tests races between removals, and between removals and concurrent inserts. */

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
// PostgreSQL checks for deadlocks only after this timeout. A short timeout makes the tests fast.
await database.runScript(`
  DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET deadlock_timeout = ''20ms''', current_database()); END $$`);

async function expectExactUsage(): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

/** Adds an image that reuses the renditions of an older image (the donor). */
async function addSharer(content: string, donorId: number, donorContent: string): Promise<number> {
  const job = await catalog.upload(content);
  await catalog.completeWithDonor(job, donorContent, donorId);
  return job.imageId;
}

const makeNearDuplicates = (id: number) => [makePair(id)];

const removals = {
  softDelete: (id: number) => catalog.softDelete(id),
  purge: (id: number) => catalog.purge(id),
};
const removalPairs = [
  ['softDelete', 'softDelete'],
  ['softDelete', 'purge'],
  ['purge', 'softDelete'],
  ['purge', 'purge'],
] as const;

test.each(removalPairs)(
  'leaves the usage counters at zero when two images that share renditions are removed concurrently (%s, %s)',
  async (first, second) => {
    const donorId = await catalog.add('donor');
    const sharerId = await addSharer('sharer', donorId, 'donor');
    const gate = await closeGate(
      database,
      'AFTER UPDATE ON images',
      `NEW.id = ${sharerId} AND OLD.deleted_at IS NULL AND NEW.deleted_at IS NOT NULL`,
    );
    const firstRemoval = removals[first](sharerId);
    await gate.untilBlocked(1);
    const secondRemoval = removals[second](donorId);
    await gate.untilBlocked(2, secondRemoval);
    await gate.open();
    await Promise.all([firstRemoval, secondRemoval]);
    await expectExactUsage();
    expect(await usageFromCounters(database)).toMatchObject([
      { images: 0, originalBytes: 0, renditionBytes: 0 },
    ]);
  },
);

test('keeps the usage exact when an image is deleted while a near-duplicate replaces the renditions that it reuses from this image', async () => {
  const donorId = await catalog.add('donor');
  const sharerId = await addSharer('sharer', donorId, 'donor');
  await addSharer('third', donorId, 'donor');
  await catalog.jobs.requeue(sharerId, 50);
  const [job] = await catalog.jobs.claimDue('derive', 1, 60);
  const gate = await closeGate(database, 'AFTER UPDATE ON renditions', `NEW.image_id = ${sharerId}`);
  const deletion = catalog.softDelete(donorId);
  await gate.untilBlocked(1);
  const completion = catalog.finish(job!, 'sharer');
  await gate.untilBlocked(2, completion);
  await gate.open();
  await Promise.all([deletion, completion]);
  await expectExactUsage();
});

test('promotes the oldest imported duplicate when the upload that it duplicates is withdrawn', async () => {
  const job = await catalog.upload('broken');
  const imports = [];
  for (const url of ['https://example.com/1', 'https://example.com/2']) {
    const importJob = await catalog.claimImport(url);
    await catalog.attach(importJob, 'broken');
    imports.push(importJob);
  }
  expect(await catalog.withdraw(job, 'broken')).toBe(true);
  expect(await catalog.image(job.imageId)).toBeUndefined();
  const [firstId, secondId] = imports.map(({ imageId }) => imageId);
  expect(await catalog.image(firstId!)).toMatchObject({ status: 'processing', duplicateOf: null });
  expect(await catalog.image(secondId!)).toMatchObject({ duplicateOf: firstId });
  await expectExactUsage();
});

test('attaches content to imports while the upload of the same content is withdrawn', async () => {
  const job = await catalog.upload('broken');
  const imports = [];
  for (const url of ['https://example.com/1', 'https://example.com/2'])
    imports.push(await catalog.claimImport(url));
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawal = catalog.withdraw(job, 'broken');
  await gate.untilBlocked(1);
  const attachment = Promise.all(imports.map((importJob) => catalog.attach(importJob, 'broken')));
  await gate.untilBlocked(3);
  await gate.open();
  expect(await withdrawal).toBe(true);
  expect(await attachment).toEqual([true, true]);
  const nonDuplicates = await selectRows(database, 'SELECT 1 FROM images WHERE duplicate_of IS NULL');
  expect(nonDuplicates).toHaveLength(1);
  await expectExactUsage();
});

test('reports an upload as missing if it is acknowledged to a client while it is being withdrawn', async () => {
  const job = await catalog.upload('broken');
  const gate = await closeGate(database, 'AFTER DELETE ON jobs', `OLD.id = ${job.id}`);
  const withdrawal = catalog.withdraw(job, 'broken');
  await gate.untilBlocked(1);
  const lateChanges = Promise.all([
    catalog.images.acknowledge(job.imageId),
    catalog.references.add(systemPrincipal, job.imageId, 'product-42'),
  ]);
  await gate.untilBlocked(3);
  await gate.open();
  expect(await withdrawal).toBe(true);
  expect(await lateChanges).toEqual(['missing', undefined]);
});

test('completes a near-duplicate whose match is purged concurrently', async () => {
  const matchId = await catalog.add('match');
  const job = await catalog.upload('near');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${matchId}`);
  const purge = catalog.purge(matchId);
  await gate.untilBlocked(1);
  const facts = makeDerivedFacts('near', { nearDuplicates: makeNearDuplicates(matchId) });
  const completion = catalog.jobs.complete(job, catalog.makeRenditions('near'), facts);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await purge).toBeDefined();
  expect(await completion).toMatchObject({ id: job.imageId, status: 'completed' });
  expect(await catalog.image(job.imageId)).toMatchObject({ nearDuplicates: [] });
});

test.each(['match', 'image'])(
  'records no near-duplicate pair if its %s is purged concurrently',
  async (purgedImage) => {
    const ids = { match: await catalog.add('match'), image: await catalog.add('image') };
    const purgedId = purgedImage === 'match' ? ids.match : ids.image;
    const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${purgedId}`);
    const purge = catalog.purge(purgedId);
    await gate.untilBlocked(1);
    const insertion = catalog.fingerprints.addNearDuplicates(ids.image, makeNearDuplicates(ids.match));
    await gate.untilBlocked(2);
    await gate.open();
    expect(await purge).toBeDefined();
    await insertion;
    expect(await selectRows(database, 'SELECT 1 FROM near_duplicates')).toEqual([]);
  },
);

test('does not reuse the renditions of an image that is purged concurrently', async () => {
  const donorId = await catalog.add('donor');
  const job = await catalog.upload('sharer');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${donorId}`);
  const purge = catalog.purge(donorId);
  await gate.untilBlocked(1);
  const completion = catalog.completeWithDonor(job, 'donor', donorId);
  await gate.untilBlocked(2);
  await gate.open();
  await purge;
  expect(await completion).toBe('donor-unavailable');
  await catalog.finish(job, 'sharer');
  await expectExactUsage();
});

test('does not deadlock when an image is retried and purged concurrently', async () => {
  const job = await catalog.upload('failed');
  await catalog.jobs.recordFailure(job, makeFailedAttempt('permanent'), { state: 'failed' });
  const gate = await closeGate(database, 'BEFORE UPDATE ON jobs', `NEW.state = 'pending'`);
  const retry = catalog.jobs.retry(unrestrictedPrincipal, job.id);
  await gate.untilBlocked(1);
  const purge = catalog.purge(job.imageId);
  await gate.untilBlocked(2);
  await gate.open();
  const [retryResult, purgeResult] = await Promise.all([retry, purge]);
  // Either operation may run first. A purged image is not retried, and a pending image is not purged.
  expect(retryResult === 'retried').toBe(purgeResult === undefined);
});

test('does not purge an image that is requeued concurrently', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER INSERT ON jobs', `NEW.image_id = ${id}`);
  const requeue = catalog.jobs.requeue(id, 50);
  await gate.untilBlocked(1);
  const purge = catalog.purge(id);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await requeue).toBeDefined();
  expect(await purge).toBeUndefined();
  expect(await selectRows(database, 'SELECT 1 FROM jobs WHERE image_id IS NULL')).toEqual([]);
});

test('does not requeue an image that is purged concurrently', async () => {
  const id = await catalog.add('vase');
  const gate = await closeGate(database, 'AFTER DELETE ON images', `OLD.id = ${id}`);
  const purge = catalog.purge(id);
  await gate.untilBlocked(1);
  const requeue = catalog.jobs.requeue(id, 50);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await purge).toBeDefined();
  expect(await requeue).toBeUndefined();
});

test('imports a URL again when its image is deleted concurrently', async () => {
  const url = 'https://example.com/known';
  const firstJob = await catalog.claimImport(url);
  await catalog.attach(firstJob, 'known');
  await catalog.finish({ ...firstJob, original: { key: 'k', contentHash: sha256Hex('known') } }, 'known');
  const line = { tenantId: shop.id, url, urlHash: sha256Hex(url), reference: 'page' };
  const gate = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const deletion = catalog.softDelete(firstJob.imageId);
  await gate.untilBlocked(1);
  const importResults = catalog.jobs.enqueueUrls(systemPrincipal, [line], 'reuse-completed', 50);
  await gate.untilBlocked(2);
  await gate.open();
  expect(await deletion).toMatchObject({ outcome: 'deleted' });
  const [lineResult] = await importResults;
  expect(lineResult).toMatchObject({ outcome: 'new' });
  expect(
    await selectRow(database, `SELECT in_use_count AS count FROM images WHERE id = ${lineResult!.imageId}`),
  ).toEqual({ count: 1 });
});

test('does not mark the second import of a picture as a duplicate if the first import is deleted while its content is being attached', async () => {
  const job = await catalog.claimImport('https://example.com/1');
  const nextJob = await catalog.claimImport('https://example.com/2');
  const contentGate = await closeGate(database, 'AFTER UPDATE ON images', 'OLD.content_hash IS NULL');
  const deletionGate = await closeGate(database, 'AFTER UPDATE ON images', 'NEW.deleted_at IS NOT NULL');
  const attachment = catalog.attach(job, 'shared');
  await contentGate.untilBlocked(1);
  const deletion = catalog.softDelete(job.imageId);
  await contentGate.untilBlocked(2);
  await contentGate.open();
  await attachment;
  await deletionGate.untilBlocked(1);
  const nextAttachment = catalog.attach(nextJob, 'shared');
  await deletionGate.untilBlocked(2, nextAttachment);
  await deletionGate.open();
  await Promise.all([deletion, nextAttachment]);
  expect(await catalog.image(nextJob.imageId)).toMatchObject({ duplicateOf: null });
  await expectExactUsage();
});
