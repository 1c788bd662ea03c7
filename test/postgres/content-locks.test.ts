import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { openPostgresDatabase } from '../../src/db/engine/postgres.ts';
import { lockImageAndFiles, lockImageFiles } from '../../src/db/images/content-lock.ts';
import type { NewRendition } from '../../src/model/rendition.ts';
import { renditionKey } from '../../src/storage/keys.ts';
import { type Catalog, makeCatalog } from '../support/inner/catalog.ts';
import { selectRow, selectRows } from '../support/inner/database.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { makeRendition, sha256Hex } from '../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../support/inner/recount.ts';
import { openTestServerDatabase, serverDatabaseUrl, testSettings } from '../support/inner/server-database.ts';

/** Tests that transactions on images which share files with each other wait for each other, and never deadlock. */

const contents = Array.from({ length: 6 }, (_, index) => `content ${index}`);

/** Returns a file of an image's own preset, so that the image can have its own file and those of others. */
function makeWebp(tenantId: number, index: number): NewRendition {
  const content = contents[index] ?? '';
  const rendition = makeRendition(tenantId, content, `p${index}`, 50);
  const storageKey = renditionKey(tenantId, sha256Hex(content), `p${index}`, rendition.recipe, 'webp');
  return { ...rendition, format: 'webp', storageKey, isListed: false, isOnRequest: true };
}

const record = ({ variants, tenantId }: Catalog, imageId: number, index: number) =>
  variants.record({
    imageId,
    renditions: [makeWebp(tenantId, index)],
    focalPoint: null,
    hasFiles: () => Promise.resolve(true),
  });

/** Makes an image share the file of another one if that exists. */
async function share({ variants, tenantId }: Catalog, imageId: number, ownerId: number, ownerIndex: number) {
  const { recipe, ...name } = makeWebp(tenantId, ownerIndex);
  const found = await variants.findByRecipe(ownerId, name, recipe);
  if (!found) return;
  const sharable = { ...found, imageId: ownerId, isSuperseded: false, hasSameContent: false };
  await variants.share(imageId, { ...sharable, originalWidth: 300, originalHeight: 200 }, null);
}

/** Opens a database with images of which each shares the files of its two neighbours. */
async function openCatalog() {
  const { name, database } = await openTestServerDatabase();
  // A deadlock is detected sooner, so that a failing test is fast.
  await database.runScript(`ALTER DATABASE ${name} SET deadlock_timeout = '50ms'`);
  const { id: tenantId } = await makeCatalog(database, 1).tenants.ensure('shop');
  const catalog = makeCatalog(database, tenantId);
  const ids: number[] = [];
  for (const [index, content] of contents.entries()) {
    const id = await catalog.add(content);
    await record(catalog, id, index);
    ids.push(id);
  }
  for (const [index, id] of ids.entries()) {
    for (const neighbour of [(index + 1) % 6, (index + 5) % 6])
      await share(catalog, id, ids[neighbour] ?? 0, neighbour);
  }
  const { count } = await selectRow<{ count: number }>(
    database,
    'SELECT count(*) AS count FROM renditions WHERE shared',
  );
  expect(count).toBe(12);
  return { name, database, tenantId, ids };
}

/**
 * Runs `work` with connections of its own. Returns the number of deadlocks that they were involved in. Queries retry after a
 * deadlock, so it would not be noticed otherwise.
 */
async function countDeadlocks(name: string, observer: Database, work: (database: Database) => Promise<void>) {
  const count = () =>
    selectRow<{ count: number }>(
      observer,
      `SELECT deadlocks AS count FROM pg_stat_database WHERE datname = '${name}'`,
    );
  const before = await count();
  const url = `${serverDatabaseUrl(name)}?application_name=contender`;
  const contenders = await openPostgresDatabase({ ...testSettings, url }, makeRecordingLogger());
  try {
    await work(contenders);
    expect(
      await selectRows(observer, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'contender'"),
    ).not.toEqual([]);
  } finally {
    await contenders.close();
  }
  // A connection reports its deadlocks when it ends, at the latest.
  await expect
    .poll(() => selectRows(observer, "SELECT 1 FROM pg_stat_activity WHERE application_name = 'contender'"))
    .toEqual([]);
  return (await count()).count - before.count;
}

test('transactions that lock the files of images which share them in both directions do not deadlock', async () => {
  const { database, ids } = await openCatalog();
  const transactions = Array.from({ length: 60 }, (_, index) => {
    const [first = 0, second = 0] = [ids[index % 6], ids[(index * 5 + 1) % 6]];
    return database.sql.transaction().execute(async (transaction) => {
      await (index % 3 === 0
        ? lockImageAndFiles(transaction, first)
        : lockImageFiles(transaction, index % 2 === 0 ? [first, second] : [second, first]));
      await sleep(2);
    });
  });
  // Nothing retries these transactions, so a deadlock rejects one of them.
  for (const result of await Promise.allSettled(transactions))
    expect(result).toEqual({ status: 'fulfilled', value: undefined });
});

test('variants of images that share files in both directions are recorded, shared and removed without a deadlock', async () => {
  const { name, database, tenantId, ids } = await openCatalog();
  const deadlocks = await countDeadlocks(name, database, async (contenders) => {
    const catalog = makeCatalog(contenders, tenantId);
    const steps = [
      (index: number, other: number) => share(catalog, ids[index] ?? 0, ids[other] ?? 0, other),
      (index: number) => record(catalog, ids[index] ?? 0, index),
      async (index: number) => {
        const found = (await catalog.renditionRemoval.list('on-request', 20)).at(index);
        if (found) await catalog.renditionRemoval.remove(found, 'on-request');
      },
      async (index: number) => {
        await catalog.softDelete(ids[index] ?? 0);
        await catalog.restore(ids[index] ?? 0);
      },
    ];
    const work = Array.from({ length: 24 }, (_, round) =>
      steps.map((step) => step(round % 6, (round * 5 + 1) % 6)),
    );
    await Promise.all(work.flat());
  });
  expect(deadlocks).toBe(0);
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));
  expect(await makeCatalog(database, tenantId).recounting.repairOwners(tenantId)).toBe(0);
});
