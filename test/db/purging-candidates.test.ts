import { beforeEach, expect, test } from 'vitest';
import type { PurgeCandidate } from '../../src/model/purge.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { useDatabase } from '../support/inner/database.ts';
import { hashOf, uploadOf } from '../support/inner/records.ts';

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

/** The shop has a finished and a failed image; the other tenant has one; all are unused. */
beforeEach(async () => {
  done = await catalog.add('done');
  const job = await catalog.upload('failed');
  await catalog.fail(job);
  failed = job.imageId;
  foreign = await elsewhere.add('done');
});

test('completed and failed images that nobody uses are candidates, with what a report tells of them', async () => {
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

test('an image in use is none, until its last user has gone', async () => {
  await references.add(done, 'page');
  await references.add(done, 'cart');
  expect(await unused()).toEqual([failed, foreign]);
  await references.remove(done, 'page');
  expect(await unused()).toEqual([failed, foreign]);
  await references.remove(done, 'cart');
  expect(await unused()).toEqual([done, failed, foreign]);
});

test('an image that waits or is in work is never a candidate, nor one that has no content yet', async () => {
  await catalog.upload('held');
  await catalog.jobs.enqueueUpload(uploadOf(shop.id, 'waits'));
  const job = await catalog.beginImport('https://example.com/none');
  await catalog.fail(job);
  expect(await unused()).toEqual([done, failed, foreign]);
});

test('a deleted image is no candidate of that kind', async () => {
  await catalog.hide(done);
  expect(await unused()).toEqual([failed, foreign]);
});

test('candidates are narrowed to a tenant and to an age', async () => {
  await database.runScript(`UPDATE images SET created_at = now() - interval '10 days' WHERE id = ${failed}`);
  expect(await unused({ tenantId: shop.id, minAgeDays: 0 })).toEqual([done, failed]);
  expect(await unused({ tenantId: null, minAgeDays: 9 })).toEqual([failed]);
  expect(await unused({ tenantId: null, minAgeDays: 11 })).toEqual([]);
  expect(await unused({ tenantId: other.id, minAgeDays: 9 })).toEqual([]);
});

/** All candidates, page by page. */
async function walk(next: (after?: PurgeCandidate) => Promise<PurgeCandidate[]>): Promise<number[]> {
  const seen: PurgeCandidate[] = [];
  for (;;) {
    const page = await next(seen.at(-1));
    if (page.length === 0) return seen.map(({ id }) => id);
    seen.push(...page);
  }
}

test('pages of unused images continue after the last one, across tenants', async () => {
  const late = await catalog.add('late');
  const walked = await walk((after) => purging.unused(everything, { limit: 1, after }));
  expect(walked).toEqual([done, failed, late, foreign]);
});

test('pages of deleted images go by the time of their deletion, oldest first', async () => {
  for (const id of [failed, foreign, done]) await (id === foreign ? elsewhere : catalog).hide(id);
  // Two of them in the same moment: their numbers decide.
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

test('tenants that have images and never used references are named, once they use one no more', async () => {
  await tenants.ensure('without images');
  expect(await purging.tenantsWithoutReferences(null)).toEqual(['other', 'shop']);
  expect(await purging.tenantsWithoutReferences(other.id)).toEqual(['other']);
  await references.add(done, 'page');
  await references.remove(done, 'page');
  expect(await purging.tenantsWithoutReferences(null)).toEqual(['other']);
  await elsewhere.hide(foreign);
  expect(await purging.tenantsWithoutReferences(null)).toEqual([]);
});
