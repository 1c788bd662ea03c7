import { systemPrincipal } from '../../src/model/principal.ts';
import { expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../support/inner/database.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';
import { sha256Hex, makeUpload } from '../support/inner/records.ts';

/** Tests races between database connections. These races cannot occur in the embedded database, which has only one connection. */

const database = await useDatabase();
const queries = makeQueries(database);
const shop = await queries.tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
const roundCount = 25;

/** Runs `work` `count` times concurrently. */
const runConcurrently = <T>(count: number, work: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => work(index)));

async function expectExactUsage(): Promise<void> {
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
}

test('creates one image for a hundred concurrent uploads of the same content', async () => {
  const results = await runConcurrently(100, () => queries.jobs.enqueueUpload(makeUpload(shop.id, 'same')));
  expect(results.filter(({ outcome }) => outcome === 'new')).toHaveLength(1);
  expect(new Set(results.map(({ imageId }) => imageId)).size).toBe(1);
});

test('imports a URL once for a hundred concurrent requests', async () => {
  const line = {
    tenantId: shop.id,
    url: 'https://example.com/a.jpg',
    urlHash: sha256Hex('a'),
    reference: undefined,
  };
  const results = await runConcurrently(100, () =>
    queries.jobs.enqueueUrls(systemPrincipal, [line], 'reuse-completed', 50),
  );
  expect(new Set(results.map(([result]) => result?.imageId)).size).toBe(1);
});

test('creates one tenant for many concurrent first uses', async () => {
  const tenants = await runConcurrently(30, () => makeQueries(database).tenants.ensure('new'));
  expect(new Set(tenants.map(({ id }) => id)).size).toBe(1);
});

test('assigns each job to exactly one of many workers', async () => {
  for (let i = 0; i < 200; i++) await queries.jobs.enqueueUpload(makeUpload(shop.id, `job ${i}`));
  const claimedIds: number[] = [];
  await runConcurrently(20, async () => {
    for (;;) {
      const jobs = await queries.jobs.claimDue('derive', 3, 60);
      if (jobs.length === 0) return;
      claimedIds.push(...jobs.map(({ id }) => id));
    }
  });
  expect(claimedIds).toHaveLength(200);
  expect(new Set(claimedIds).size).toBe(200);
});

test('takes over each lost lease once', async () => {
  for (let i = 0; i < 40; i++) await queries.jobs.enqueueUpload(makeUpload(shop.id, `lost ${i}`));
  await queries.jobs.claimDue('derive', 40, 60);
  await database.runScript("UPDATE jobs SET lease_until = now() - interval '1 s'");
  await runConcurrently(10, () => queries.jobs.takeOverLostLeases(10, false));
  const losses = await selectRows<{ losses: number }>(database, 'SELECT lease_losses AS losses FROM jobs');
  expect(losses).toEqual(losses.map(() => ({ losses: 1 })));
});

test('counts shared files only once when two duplicates are completed concurrently', async () => {
  for (let round = 0; round < roundCount; round++) {
    const content = `copies ${round}`;
    const imports = [
      await catalog.claimImport('https://example.com/1'),
      await catalog.claimImport('https://example.com/2'),
    ];
    for (const job of imports) await catalog.attach(job, content);
    const jobs = imports.map((job) => ({
      ...job,
      original: { key: content, contentHash: sha256Hex(content) },
    }));
    await Promise.all(jobs.map((job) => catalog.finish(job, content)));
    const owners = await selectRows(
      database,
      `SELECT 1 FROM renditions r JOIN images i ON i.id = r.image_id WHERE i.content_hash = '${sha256Hex(content)}' AND NOT r.shared`,
    );
    expect(owners).toHaveLength(2);
  }
  await expectExactUsage();
});

test('keeps and counts an upload whose content is purged concurrently', async () => {
  for (let round = 0; round < roundCount; round++) {
    const content = `contended ${round}`;
    const id = await catalog.add(content);
    await catalog.softDelete(id);
    const [, upload] = await Promise.all([
      catalog.purge(id),
      queries.jobs.enqueueUpload(makeUpload(shop.id, content)),
    ]);
    expect(upload.outcome).toBe('new');
    expect(await catalog.image(upload.imageId)).toMatchObject({ contentHash: sha256Hex(content) });
  }
  await expectExactUsage();
});

test('keeps the usage exact while images are added, deleted, restored and reused', async () => {
  const contents = Array.from({ length: 6 }, (_, index) => `image ${index}`);
  const ids = await Promise.all(contents.map((content) => catalog.add(content)));
  const steps = [
    (id: number) => catalog.softDelete(id),
    (id: number) => catalog.restore(id),
    (id: number) => catalog.softDelete(id, true),
    (id: number) => catalog.restore(id),
    async (id: number) => {
      const job = await catalog.upload(`sharer ${Math.random()}`);
      await catalog.completeWithDonor(job, contents[ids.indexOf(id)] ?? '', id);
    },
    () => queries.usage.foldDeltas(),
  ];
  for (let round = 0; round < roundCount; round++) {
    await runConcurrently(12, async (index) => {
      const id = ids[(index + round) % ids.length] ?? 0;
      await steps[(index * 7 + round) % steps.length]?.(id);
    });
  }
  await expectExactUsage();
});
