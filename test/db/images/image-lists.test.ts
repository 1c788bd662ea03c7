import { beforeAll, expect, test } from 'vitest';
import { type ImageFilter, makeImageQueries } from '../../../src/db/images/images.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { jobStates } from '../../../src/model/job.ts';
import { unrestrictedPrincipal, type Principal } from '../../../src/model/principal.ts';
import { openDatabase, selectRow, selectRows } from '../../support/inner/database.ts';

const database = await openDatabase();
const images = makeImageQueries(database);
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const shopPrincipal: Principal = { ...unrestrictedPrincipal, tenantId: shop.id };
/** Returns the date that is `days` days after 1 January 2026. */
const makeDate = (days: number) => new Date(Date.UTC(2026, 0, 1 + days));

/** Adds 300 images of two tenants, created an hour apart. Every status occurs, and some images are deleted. */
beforeAll(async () => {
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, created_at, deleted_at)
    SELECT gen_random_uuid(), CASE WHEN n % 3 = 0 THEN ${otherTenant.id} ELSE ${shop.id} END,
      CASE n % 7 WHEN 0 THEN 'pending' WHEN 1 THEN 'processing' WHEN 2 THEN 'failed' ELSE 'completed' END,
      '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 hour', CASE WHEN n % 11 = 0 THEN now() END
    FROM generate_series(1, 300) AS n`);
});

const timeRanges = [
  {},
  { createdAfter: makeDate(3) },
  { createdBefore: makeDate(9) },
  { createdAfter: makeDate(3), createdBefore: makeDate(9) },
];
const filters: ImageFilter[] = [undefined, 'shop', 'other', 'unknown'].flatMap((tenant) =>
  [undefined, ...jobStates].flatMap((status) =>
    timeRanges.map((timeRange) => ({ tenant, status, ...timeRange })),
  ),
);

/** Finds the ids of the images that match a filter by scanning the whole table. */
async function scanForIds(filter: ImageFilter, principal: Principal): Promise<number[]> {
  const { tenant, status, createdAfter, createdBefore } = filter;
  const rows = await selectRows<{ id: number }>(
    database,
    `SELECT i.id FROM images i JOIN tenants t ON t.id = i.tenant_id WHERE i.deleted_at IS NULL
      AND (${tenant === undefined} OR t.name = '${tenant}') AND (${status === undefined} OR i.status = '${status}')
      AND (${principal.tenantId === null} OR i.tenant_id = ${principal.tenantId ?? 0})
      AND i.created_at >= '${(createdAfter ?? makeDate(-1)).toISOString()}'
      AND i.created_at < '${(createdBefore ?? makeDate(999)).toISOString()}' ORDER BY i.id DESC`,
  );
  return rows.map(({ id }) => id);
}

test.each([
  ['all tenants', unrestrictedPrincipal],
  ['one tenant', shopPrincipal],
] as const)('lists and counts the same images as a scan of the table, for %s', async (_, principal) => {
  expect(filters).toHaveLength(80);
  for (const filter of filters) {
    const { items, total } = await images.list(principal, filter, { limit: 400, offset: 0 });
    const expectedIds = await scanForIds(filter, principal);
    const label = JSON.stringify(filter);
    expect(
      items.map(({ id }) => id),
      label,
    ).toEqual(expectedIds);
    expect(total, label).toBe(expectedIds.length);
  }
});

test.each<ImageFilter>([{}, { tenant: 'other' }, { status: 'completed' }, { createdBefore: makeDate(9) }])(
  'returns the same pages by cursor as by offset: %o',
  async (filter) => {
    const allIds = await scanForIds(filter, unrestrictedPrincipal);
    const listedIds: number[] = [];
    let after: number | undefined;
    do {
      const page = await images.list(unrestrictedPrincipal, filter, { limit: 17, offset: 0, after });
      expect(page).toEqual(
        await images.list(unrestrictedPrincipal, filter, { limit: 17, offset: listedIds.length }),
      );
      expect(page.total).toBe(allIds.length);
      listedIds.push(...page.items.map(({ id }) => id));
      after = page.next;
    } while (after !== undefined);
    expect(listedIds).toEqual(allIds);
  },
);

test('returns no cursor on a full last page', async () => {
  const { total } = await selectRow<{ total: number }>(
    database,
    'SELECT count(*) AS total FROM images WHERE deleted_at IS NULL',
  );
  const fullPage = await images.list(unrestrictedPrincipal, {}, { limit: total, offset: 0 });
  expect({ next: fullPage.next, length: fullPage.items.length }).toEqual({ next: undefined, length: total });
  const shorterPage = await images.list(unrestrictedPrincipal, {}, { limit: total - 1, offset: 0 });
  expect(shorterPage.next).toBe(shorterPage.items.at(-1)?.id);
});

test('returns the same page by cursor after newer images are added', async () => {
  const firstPage = await images.list(unrestrictedPrincipal, {}, { limit: 10, offset: 0 });
  const pageBefore = await images.list(
    unrestrictedPrincipal,
    {},
    { limit: 10, offset: 0, after: firstPage.next },
  );
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status) VALUES (gen_random_uuid(), ${shop.id}, 'pending')`);
  const { items } = await images.list(
    unrestrictedPrincipal,
    {},
    { limit: 10, offset: 0, after: firstPage.next },
  );
  expect(items).toEqual(pageBefore.items);
});
