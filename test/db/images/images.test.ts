import { beforeEach, expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeDeletionQueries } from '../../../src/db/images/deletion.ts';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal, type Principal } from '../../../src/model/principal.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { claimOne, recordPending } from '../../support/inner/jobs.ts';
import { derivedFactsOf, hashOf, renditionOf } from '../../support/inner/records.ts';

const database = await useDatabase();
const images = makeImageQueries(database);
const deletion = makeDeletionQueries(database);
const tenants = makeTenantQueries(database);
const [shop, other] = [await tenants.ensure('shop'), await tenants.ensure('other')];
const ofShop: Principal = { ...unrestrictedPrincipal, subject: 'key', tenantId: shop.id };
const wholePage = { limit: 50, offset: 0 };
const all: number[] = [];

/** Five images: the first is completed, the last belongs to the other tenant. They are a day apart. */
beforeEach(async () => {
  all.length = 0;
  for (const name of ['a', 'b', 'c', 'd', 'e']) {
    const tenant = name === 'e' ? other : shop;
    all.push((await recordPending(database, tenant.id, name)).imageId);
    if (name === 'a') {
      const renditions = ['thumb', 'card'].map((preset) => renditionOf(shop.id, 'a', preset));
      await makeJobQueries(database).complete(await claimOne(database), renditions, derivedFactsOf('a'));
    }
  }
  await database.runScript(
    "UPDATE images SET created_at = '2026-01-01T00:00:00Z'::timestamptz + id * interval '1 day'",
  );
});

const listed = async (
  filter: Parameters<typeof images.list>[1],
  page = wholePage,
  principal = unrestrictedPrincipal,
) => {
  const { items, total } = await images.list(principal, filter, page);
  return { ids: items.map(({ id }) => id), total };
};
const day = (number: number) => new Date(Date.UTC(2026, 0, 1 + number));

test('lists images newest first, with their renditions', async () => {
  expect(await listed({})).toEqual({ ids: all.toReversed(), total: 5 });
  const { items } = await images.list(unrestrictedPrincipal, {}, wholePage);
  expect(items.at(-1)?.renditions.map(({ preset }) => preset)).toEqual(['card', 'thumb']);
});

test('returns a page of the list and the total of the whole list', async () => {
  expect(await listed({}, { limit: 2, offset: 1 })).toEqual({ ids: [all[3], all[2]], total: 5 });
  expect(await listed({}, { limit: 2, offset: 9 })).toEqual({ ids: [], total: 5 });
});

test('filters the list and its total by tenant, status and time', async () => {
  expect(await listed({ tenant: 'other' })).toEqual({ ids: [all[4]], total: 1 });
  expect(await listed({ tenant: 'nobody' })).toEqual({ ids: [], total: 0 });
  expect(await listed({ status: 'completed' })).toEqual({ ids: [all[0]], total: 1 });
  // The start is inclusive, the end exclusive.
  expect(await listed({ createdAfter: day(2), createdBefore: day(4) })).toEqual({
    ids: [all[2], all[1]],
    total: 2,
  });
  expect(
    await listed({ tenant: 'shop', status: 'pending', createdAfter: day(3) }, { limit: 1, offset: 0 }),
  ).toEqual({
    ids: [all[3]],
    total: 2,
  });
});

test('shows a principal of one tenant only that tenant’s images', async () => {
  expect(await listed({}, wholePage, ofShop)).toEqual({ ids: all.slice(0, 4).toReversed(), total: 4 });
  expect(await images.find(ofShop, { id: all[4]! })).toBeUndefined();
  expect(await images.findWithoutRenditions(ofShop, { id: all[4]! })).toBeUndefined();
  expect(await deletion.softDelete(ofShop, { id: all[4]! }, true)).toEqual({ outcome: 'not-found' });
  expect(await images.find(unrestrictedPrincipal, { id: all[4]! })).toBeDefined();
});

test('finds an image by its id and by its UUID', async () => {
  const image = await images.find(unrestrictedPrincipal, { id: all[0]! });
  expect(image?.contentHash).toBe(hashOf('a'));
  expect(await images.find(unrestrictedPrincipal, { uuid: image!.uuid })).toEqual(image);
  const { renditions: _made, nearDuplicates: _near, ...bare } = image!;
  expect(await images.findWithoutRenditions(unrestrictedPrincipal, { uuid: image!.uuid })).toEqual(bare);
});

test('hides a deleted image from every query, and deletes it only once', async () => {
  const reference = { id: all[0]! };
  expect(await deletion.softDelete(unrestrictedPrincipal, reference, false)).toMatchObject({
    outcome: 'deleted',
    image: reference,
  });
  expect(await deletion.softDelete(unrestrictedPrincipal, reference, false)).toEqual({
    outcome: 'not-found',
  });
  expect(await images.find(unrestrictedPrincipal, reference)).toBeUndefined();
  expect(await images.findWithoutRenditions(unrestrictedPrincipal, reference)).toBeUndefined();
  expect(await images.findByContent(shop.id, hashOf('a'))).toBeUndefined();
  expect(await listed({ tenant: 'shop' })).toEqual({ ids: [all[3], all[2], all[1]], total: 3 });
});

test('reports one of many concurrent deletions of an image as successful', async () => {
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => deletion.softDelete(unrestrictedPrincipal, { id: all[1]! }, false)),
  );
  expect(answers.filter(({ outcome }) => outcome === 'deleted')).toHaveLength(1);
});

test('marks damage with the time of its discovery, and clears it', async () => {
  const [id] = all as [number];
  await images.markDamaged(id);
  const found = (await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt;
  expect(found).toBeInstanceOf(Date);
  await images.markDamaged(id);
  expect((await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt).toEqual(found);
  expect(await images.findByContent(shop.id, hashOf('a'))).toEqual({
    id,
    status: 'completed',
    damaged: true,
  });
  await images.clearDamaged(id);
  expect((await images.findWithoutRenditions(unrestrictedPrincipal, { id }))?.damagedAt).toBeNull();
});
