import { beforeEach, expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeDeletionQueries } from '../../../src/db/images/deletion.ts';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal, type Principal } from '../../../src/model/principal.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { claimOne, recordPending } from '../../support/inner/jobs.ts';
import { makeDerivedFacts, sha256Hex, makeRendition } from '../../support/inner/records.ts';

const database = await useDatabase();
const images = makeImageQueries(database);
const deletion = makeDeletionQueries(database);
const tenants = makeTenantQueries(database);
const [shop, otherTenant] = [await tenants.ensure('shop'), await tenants.ensure('other')];
const shopPrincipal: Principal = { ...unrestrictedPrincipal, subject: 'key', tenantId: shop.id };
const fullPage = { limit: 50, offset: 0 };
const ids: number[] = [];

/** Adds five images, created a day apart. The first is completed, and the last belongs to the other tenant. */
beforeEach(async () => {
  ids.length = 0;
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const tenant = name === 'e' ? otherTenant : shop;
    ids.push((await recordPending(database, tenant.id, name)).imageId);
    if (name === 'a') {
      const renditions = ['thumb', 'card'].map((preset) => makeRendition(shop.id, 'a', preset));
      await makeJobQueries(database).complete(await claimOne(database), renditions, makeDerivedFacts('a'));
    }
  }
  await database.runScript(
    "UPDATE images SET created_at = '2026-01-01T00:00:00Z'::timestamptz + id * interval '1 day'",
  );
});

const list = async (
  filter: Parameters<typeof images.list>[1],
  page = fullPage,
  principal = unrestrictedPrincipal,
) => {
  const { items, total } = await images.list(principal, filter, page);
  return { ids: items.map(({ id }) => id), total };
};
/** Returns the date that is `days` days after 1 January 2026. */
const makeDate = (days: number) => new Date(Date.UTC(2026, 0, 1 + days));

test('lists images newest first, with their renditions', async () => {
  expect(await list({})).toEqual({ ids: ids.toReversed(), total: 5 });
  const { items } = await images.list(unrestrictedPrincipal, {}, fullPage);
  expect(items.at(-1)?.renditions.map(({ preset }) => preset)).toEqual(['card', 'thumb']);
});

test('returns one page of the list, and the total of the whole list', async () => {
  expect(await list({}, { limit: 2, offset: 1 })).toEqual({ ids: [ids[3], ids[2]], total: 5 });
  expect(await list({}, { limit: 2, offset: 9 })).toEqual({ ids: [], total: 5 });
});

test('filters the list and its total by tenant, status and time', async () => {
  expect(await list({ tenant: 'other' })).toEqual({ ids: [ids[4]], total: 1 });
  expect(await list({ tenant: 'unknown' })).toEqual({ ids: [], total: 0 });
  expect(await list({ status: 'completed' })).toEqual({ ids: [ids[0]], total: 1 });
  // The start is inclusive, and the end is exclusive.
  expect(await list({ createdAfter: makeDate(2), createdBefore: makeDate(4) })).toEqual({
    ids: [ids[2], ids[1]],
    total: 2,
  });
  expect(
    await list({ tenant: 'shop', status: 'pending', createdAfter: makeDate(3) }, { limit: 1, offset: 0 }),
  ).toEqual({
    ids: [ids[3]],
    total: 2,
  });
});

test('returns only images of the principal’s tenant', async () => {
  expect(await list({}, fullPage, shopPrincipal)).toEqual({ ids: ids.slice(0, 4).toReversed(), total: 4 });
  expect(await images.find(shopPrincipal, { id: ids[4]! })).toBeUndefined();
  expect(await images.findWithoutRenditions(shopPrincipal, { id: ids[4]! })).toBeUndefined();
  expect(await deletion.softDelete(shopPrincipal, { id: ids[4]! }, true)).toEqual({ outcome: 'not-found' });
  expect(await images.find(unrestrictedPrincipal, { id: ids[4]! })).toBeDefined();
});

test('finds an image by its id and by its UUID', async () => {
  const image = await images.find(unrestrictedPrincipal, { id: ids[0]! });
  expect(image?.contentHash).toBe(sha256Hex('a'));
  expect(await images.find(unrestrictedPrincipal, { uuid: image!.uuid })).toEqual(image);
  const { renditions: _renditions, nearDuplicates: _nearDuplicates, ...imageWithoutRelations } = image!;
  expect(await images.findWithoutRenditions(unrestrictedPrincipal, { uuid: image!.uuid })).toEqual(
    imageWithoutRelations,
  );
});

test('hides a deleted image from every query, and deletes it only once', async () => {
  const ref = { id: ids[0]! };
  expect(await deletion.softDelete(unrestrictedPrincipal, ref, false)).toMatchObject({
    outcome: 'deleted',
    image: ref,
  });
  expect(await deletion.softDelete(unrestrictedPrincipal, ref, false)).toEqual({
    outcome: 'not-found',
  });
  expect(await images.find(unrestrictedPrincipal, ref)).toBeUndefined();
  expect(await images.findWithoutRenditions(unrestrictedPrincipal, ref)).toBeUndefined();
  expect(await images.findByContent(shop.id, sha256Hex('a'))).toBeUndefined();
  expect(await list({ tenant: 'shop' })).toEqual({ ids: [ids[3], ids[2], ids[1]], total: 3 });
});

test('reports only one of many concurrent deletions of an image as successful', async () => {
  const results = await Promise.all(
    Array.from({ length: 10 }, () => deletion.softDelete(unrestrictedPrincipal, { id: ids[1]! }, false)),
  );
  expect(results.filter(({ outcome }) => outcome === 'deleted')).toHaveLength(1);
});

test('keeps the time when damage was first found until the damage is cleared', async () => {
  const [id] = ids as [number];
  await images.markDamaged(id);
  const damagedAt = (await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt;
  expect(damagedAt).toBeInstanceOf(Date);
  await images.markDamaged(id);
  expect((await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt).toEqual(damagedAt);
  expect(await images.findByContent(shop.id, sha256Hex('a'))).toEqual({
    id,
    status: 'completed',
    damaged: true,
  });
  await images.clearDamaged(id);
  expect((await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt).toBeNull();
});
