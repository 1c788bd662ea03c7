import { beforeEach, expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeDeletionQueries } from '../../../src/db/images/deletion.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeUsageQueries } from '../../../src/db/usage/usage.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { claimOne, recordPending } from '../../support/inner/jobs.ts';
import { makeDerivedFacts, makeRendition, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const usage = makeUsageQueries(database);
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const emptyTenant = await tenants.ensure('empty');
let vaseId: number;

/** Adds a completed image of 1000 bytes with renditions of 100 and 400 bytes, and a pending image of 500 bytes. */
beforeEach(async () => {
  vaseId = (await recordPending(database, shop.id, 'vase', { bytes: 1000 })).imageId;
  await makeJobQueries(database).complete(
    await claimOne(database),
    [makeRendition(shop.id, 'vase', 'thumb', 100), makeRendition(shop.id, 'vase', 'card', 400)],
    makeDerivedFacts('vase'),
  );
  await recordPending(database, shop.id, 'lamp', { bytes: 500 });
});

const shopUsage = {
  tenantId: shop.id,
  tenant: 'shop',
  images: 2,
  renditions: 2,
  originalBytes: 1500,
  renditionBytes: 500,
  bytesByPreset: { card: 400, thumb: 100 },
  bytesByFormat: { jpeg: 500 },
  imagesByStatus: { pending: 1, processing: 0, completed: 1, failed: 0 },
  deletedImages: 0,
  deletedBytes: 0,
};
const noImagesByStatus = { pending: 0, processing: 0, completed: 0, failed: 0 };

test('counts the images, renditions and bytes of a tenant', async () => {
  expect(await usage.findByTenant(unrestrictedPrincipal, 'shop')).toEqual(shopUsage);
});

test('counts content only once when it is uploaded again', async () => {
  await makeJobQueries(database).enqueueUpload(makeUpload(shop.id, 'vase', { bytes: 1000 }));
  expect(await usage.findByTenant(unrestrictedPrincipal, 'shop')).toEqual(shopUsage);
});

test('lists a tenant without images with zero counts, and returns nothing for an unknown tenant', async () => {
  const noUsage = {
    images: 0,
    renditions: 0,
    originalBytes: 0,
    renditionBytes: 0,
    bytesByPreset: {},
    bytesByFormat: {},
    imagesByStatus: noImagesByStatus,
    deletedImages: 0,
    deletedBytes: 0,
  };
  expect(await usage.listByTenant(unrestrictedPrincipal)).toEqual([
    { tenantId: emptyTenant.id, tenant: 'empty', ...noUsage },
    shopUsage,
  ]);
  expect(await usage.findByTenant(unrestrictedPrincipal, 'unknown')).toBeUndefined();
});

test('counts deleted images only as deleted', async () => {
  await makeDeletionQueries(database).softDelete(unrestrictedPrincipal, { id: vaseId }, false);
  expect(await usage.findByTenant(unrestrictedPrincipal, 'shop')).toEqual({
    ...shopUsage,
    images: 1,
    renditions: 0,
    originalBytes: 500,
    renditionBytes: 0,
    bytesByPreset: {},
    bytesByFormat: {},
    imagesByStatus: { ...noImagesByStatus, pending: 1 },
    deletedImages: 1,
    deletedBytes: 1500,
  });
});

test('adds up the usage of all tenants by tenant, preset and status', async () => {
  await recordPending(database, emptyTenant.id, 'vase', { leaseSeconds: 60 });
  expect(await usage.readOverall(unrestrictedPrincipal)).toEqual({
    images: 3,
    renditions: 2,
    originalBytes: 2500,
    renditionBytes: 500,
    imagesByTenant: { empty: 1, shop: 2 },
    bytesByPreset: { thumb: 100, card: 400 },
    bytesByFormat: { jpeg: 500 },
    imagesByStatus: { pending: 1, processing: 1, completed: 1, failed: 0 },
  });
});

test('returns only the usage of the principal’s tenant', async () => {
  const emptyTenantPrincipal = { ...unrestrictedPrincipal, tenantId: emptyTenant.id };
  expect((await usage.listByTenant(emptyTenantPrincipal)).map(({ tenant }) => tenant)).toEqual(['empty']);
  expect(await usage.findByTenant(emptyTenantPrincipal, 'shop')).toBeUndefined();
  expect((await usage.readOverall(emptyTenantPrincipal)).imagesByTenant).toEqual({ empty: 0 });
});
