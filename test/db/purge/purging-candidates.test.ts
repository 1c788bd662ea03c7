import { beforeEach, expect, test } from 'vitest';
import type { PurgeCandidate } from '../../../src/model/purge.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { hashOf, uploadOf } from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const other = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const elsewhere = makeCatalog(database, other.id);
const { purging, references } = catalog;
const everything = { tenantId: null, minAgeDays: 0 };
const wholePage = { limit: 100 };
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

const unused = async (filter = everything as Parameters<typeof purging.unused>[0]) => {
  const found = await purging.unused(filter, wholePage);
  expect(await purging.countUnused(filter)).toBe(found.length);
  return found.map(({ id }) => id);
};

let done: number;
let failed: number;
let foreign: number;

/** The shop has a completed and a failed image, the other tenant has one; all are unused. */
beforeEach(async () => {
  done = await catalog.add('done');
  const job = await catalog.upload('failed');
  await catalog.fail(job);
  failed = job.imageId;
  foreign = await elsewhere.add('done');
});

test('lists unused completed and failed images, with the fields of a report', async () => {
  expect(await unused()).toEqual([done, failed, foreign]);
  const [first] = await purging.unused(everything, wholePage);
  expect(first).toEqual({
    id: done,
    uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    tenantId: shop.id,
    tenant: 'shop',
    status: 'completed',
    contentHash: hashOf('done'),
    originalBytes: 1000,
    createdAt: expect.any(Date) as Date,
    deletedAt: null,
  });
});

test('lists no image in use until its last reference is removed', async () => {
  await references.add(done, 'page');
  await references.add(done, 'cart');
  expect(await unused()).toEqual([failed, foreign]);
  await references.remove(done, 'page');
  expect(await unused()).toEqual([failed, foreign]);
  await references.remove(done, 'cart');
  expect(await unused()).toEqual([done, failed, foreign]);
});

test('lists no pending or processing image, and none without content', async () => {
  await catalog.upload('held');
  await catalog.jobs.enqueueUpload(uploadOf(shop.id, 'waits'));
  const job = await catalog.claimImport('https://example.com/none');
  await catalog.fail(job);
  expect(await unused()).toEqual([done, failed, foreign]);
});

test('lists no deleted image as unused', async () => {
  await catalog.softDelete(done);
  expect(await unused()).toEqual([failed, foreign]);
});

test('filters candidates by tenant and age', async () => {
  await database.runScript(`UPDATE images SET created_at = now() - interval '10 days' WHERE id = ${failed}`);
  expect(await unused({ tenantId: shop.id, minAgeDays: 0 })).toEqual([done, failed]);
  expect(await unused({ tenantId: null, minAgeDays: 9 })).toEqual([failed]);
  expect(await unused({ tenantId: null, minAgeDays: 11 })).toEqual([]);
  expect(await unused({ tenantId: other.id, minAgeDays: 9 })).toEqual([]);
});

/** Reads all candidates, page by page. */
async function walk(next: (after?: PurgeCandidate) => Promise<PurgeCandidate[]>): Promise<number[]> {
  const candidates: PurgeCandidate[] = [];
  for (;;) {
    const page = await next(candidates.at(-1));
    if (page.length === 0) return candidates.map(({ id }) => id);
    candidates.push(...page);
  }
}

test('continues pages of unused images across tenants', async () => {
  const late = await catalog.add('late');
  const walked = await walk((after) => purging.unused(everything, { limit: 1, after }));
  expect(walked).toEqual([done, failed, late, foreign]);
});

test('orders pages of deleted images by the time of deletion, oldest first', async () => {
  for (const id of [failed, foreign, done]) await (id === foreign ? elsewhere : catalog).softDelete(id);
  // Two of them were deleted at the same time: their ids decide.
  await database.runScript(`
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '2 days' WHERE id IN (${failed}, ${done});
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '5 days' WHERE id = ${foreign}`);
  const deleted = (cutoff: Date, tenantId: number | null = null) =>
    walk((after) => purging.deleted(tenantId, cutoff, { limit: 1, after }));
  expect(await deleted(daysAgo(0))).toEqual([foreign, done, failed]);
  expect(await deleted(daysAgo(3))).toEqual([foreign]);
  expect(await deleted(daysAgo(6))).toEqual([]);
  expect(await deleted(daysAgo(0), shop.id)).toEqual([done, failed]);
});

test('lists tenants with images that never used references', async () => {
  await tenants.ensure('without images');
  expect(await purging.tenantsWithoutReferences(null)).toEqual(['other', 'shop']);
  expect(await purging.tenantsWithoutReferences(other.id)).toEqual(['other']);
  await references.add(done, 'page');
  await references.remove(done, 'page');
  expect(await purging.tenantsWithoutReferences(null)).toEqual(['other']);
  await elsewhere.softDelete(foreign);
  expect(await purging.tenantsWithoutReferences(null)).toEqual([]);
});
