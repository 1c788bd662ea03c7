import { systemPrincipal } from '../../../src/model/principal.ts';
import { beforeEach, expect, test } from 'vitest';
import type { PurgeCandidate } from '../../../src/model/purge.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { sha256Hex, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const otherCatalog = makeCatalog(database, otherTenant.id);
const { purging, references } = catalog;
const allTenants = { tenantId: null, minAgeDays: 0 };
const fullPage = { limit: 100 };
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000);

const listUnused = async (filter = allTenants as Parameters<typeof purging.listUnused>[0]) => {
  const candidates = await purging.listUnused(filter, fullPage);
  expect(await purging.countUnused(filter)).toBe(candidates.length);
  return candidates.map(({ id }) => id);
};

let completedId: number;
let failedId: number;
let otherTenantImageId: number;

/** Adds a completed and a failed image of the shop, and a completed image of the other tenant. All three are unused. */
beforeEach(async () => {
  completedId = await catalog.add('completed');
  const job = await catalog.upload('failed');
  await catalog.fail(job);
  failedId = job.imageId;
  otherTenantImageId = await otherCatalog.add('completed');
});

test('lists unused completed and failed images, with the fields that a report needs', async () => {
  expect(await listUnused()).toEqual([completedId, failedId, otherTenantImageId]);
  const [firstCandidate] = await purging.listUnused(allTenants, fullPage);
  expect(firstCandidate).toEqual({
    id: completedId,
    uuid: expect.stringMatching(/^[0-9a-f-]{36}$/) as string,
    tenantId: shop.id,
    tenant: 'shop',
    status: 'completed',
    contentHash: sha256Hex('completed'),
    originalBytes: 1000,
    createdAt: expect.any(Date) as Date,
    deletedAt: null,
  });
});

test('does not list an image in use until its last reference is removed', async () => {
  await references.add(systemPrincipal, completedId, 'page');
  await references.add(systemPrincipal, completedId, 'cart');
  expect(await listUnused()).toEqual([failedId, otherTenantImageId]);
  await references.remove(systemPrincipal, completedId, 'page');
  expect(await listUnused()).toEqual([failedId, otherTenantImageId]);
  await references.remove(systemPrincipal, completedId, 'cart');
  expect(await listUnused()).toEqual([completedId, failedId, otherTenantImageId]);
});

test('does not list pending or processing images, or images without content', async () => {
  await catalog.upload('processing');
  await catalog.jobs.enqueueUpload(makeUpload(shop.id, 'pending'));
  const job = await catalog.claimImport('https://example.com/none');
  await catalog.fail(job);
  expect(await listUnused()).toEqual([completedId, failedId, otherTenantImageId]);
});

test('does not list deleted images as unused', async () => {
  await catalog.softDelete(completedId);
  expect(await listUnused()).toEqual([failedId, otherTenantImageId]);
});

test('filters candidates by tenant and age', async () => {
  await database.runScript(
    `UPDATE images SET created_at = now() - interval '10 days' WHERE id = ${failedId}`,
  );
  expect(await listUnused({ tenantId: shop.id, minAgeDays: 0 })).toEqual([completedId, failedId]);
  expect(await listUnused({ tenantId: null, minAgeDays: 9 })).toEqual([failedId]);
  expect(await listUnused({ tenantId: null, minAgeDays: 11 })).toEqual([]);
  expect(await listUnused({ tenantId: otherTenant.id, minAgeDays: 9 })).toEqual([]);
});

/** Reads all candidates page by page and returns their ids. */
async function readPages(
  fetchPage: (after?: PurgeCandidate) => Promise<PurgeCandidate[]>,
): Promise<number[]> {
  const candidates: PurgeCandidate[] = [];
  for (;;) {
    const page = await fetchPage(candidates.at(-1));
    if (page.length === 0) return candidates.map(({ id }) => id);
    candidates.push(...page);
  }
}

test('lists unused images page by page across tenants', async () => {
  const newestId = await catalog.add('late');
  const ids = await readPages((after) => purging.listUnused(allTenants, { limit: 1, after }));
  expect(ids).toEqual([completedId, failedId, newestId, otherTenantImageId]);
});

test('lists deleted images page by page in the order of deletion', async () => {
  for (const id of [failedId, otherTenantImageId, completedId])
    await (id === otherTenantImageId ? otherCatalog : catalog).softDelete(id);
  // Two images have the same deletion time, so they are ordered by their ids.
  await database.runScript(`
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '2 days' WHERE id IN (${failedId}, ${completedId});
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '5 days' WHERE id = ${otherTenantImageId}`);
  const listDeletedIds = (cutoff: Date, tenantId: number | null = null) =>
    readPages((after) => purging.listDeleted(tenantId, cutoff, { limit: 1, after }));
  expect(await listDeletedIds(daysAgo(0))).toEqual([otherTenantImageId, completedId, failedId]);
  expect(await listDeletedIds(daysAgo(3))).toEqual([otherTenantImageId]);
  expect(await listDeletedIds(daysAgo(6))).toEqual([]);
  expect(await listDeletedIds(daysAgo(0), shop.id)).toEqual([completedId, failedId]);
});

test('lists tenants that have images but have never used references', async () => {
  await tenants.ensure('without images');
  expect(await purging.listTenantsWithoutReferences(null)).toEqual(['other', 'shop']);
  expect(await purging.listTenantsWithoutReferences(otherTenant.id)).toEqual(['other']);
  await references.add(systemPrincipal, completedId, 'page');
  await references.remove(systemPrincipal, completedId, 'page');
  expect(await purging.listTenantsWithoutReferences(null)).toEqual(['other']);
  await otherCatalog.softDelete(otherTenantImageId);
  expect(await purging.listTenantsWithoutReferences(null)).toEqual([]);
});
