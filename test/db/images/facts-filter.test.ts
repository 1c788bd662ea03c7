import { beforeAll, expect, test } from 'vitest';
import { type FactsFilter, type ImageFilter, makeImageQueries } from '../../../src/db/images/images.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { type Principal, unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { openDatabase, selectRows } from '../../support/inner/database.ts';
import { intakeFacts } from '../../support/inner/records.ts';

const database = await openDatabase();
const images = makeImageQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const other = await makeTenantQueries(database).ensure('other');
const shopPrincipal: Principal = { ...unrestrictedPrincipal, tenantId: shop.id };

/** Adds 120 images. Some have no facts, some no sharpness or fill, some a warning, and some are deleted. */
beforeAll(async () => {
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, deleted_at, facts, background, sharpness, fill, is_upscaled,
      is_heavily_compressed, warnings)
    SELECT gen_random_uuid(), CASE WHEN n % 4 = 0 THEN ${other.id} ELSE ${shop.id} END,
      CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'completed' END, CASE WHEN n % 11 = 0 THEN now() END,
      CASE WHEN n % 10 > 0 THEN '${JSON.stringify(intakeFacts)}'::jsonb END,
      CASE WHEN n % 10 > 0 THEN (ARRAY['white', 'plain', 'mixed'])[1 + n % 3] END,
      CASE WHEN n % 10 > 0 AND n % 7 > 0 THEN n END, CASE WHEN n % 10 > 0 AND n % 3 < 2 THEN n / 200.0 END,
      CASE WHEN n % 10 > 0 THEN n % 13 = 0 END, CASE WHEN n % 10 > 0 THEN n % 6 = 1 END,
      CASE WHEN n % 10 > 0 AND n % 5 = 1 THEN '[{"rule": "min_fill", "limit": 0.4, "value": 0.1}]'::jsonb END
    FROM generate_series(1, 120) AS n`);
});

const cases: readonly [FactsFilter, string][] = [
  [{ background: 'white' }, `background = 'white'`],
  [{ minSharpness: 40 }, 'sharpness >= 40'],
  [{ maxSharpness: 40 }, 'sharpness <= 40'],
  [{ minFill: 0.3, maxFill: 0.5 }, 'fill BETWEEN 0.3::real AND 0.5::real'],
  [{ upscaled: true }, 'is_upscaled'],
  [{ upscaled: false }, 'NOT is_upscaled'],
  [{ heavilyCompressed: true }, 'is_heavily_compressed'],
  [
    { background: 'plain', minSharpness: 20, upscaled: false },
    `background = 'plain' AND sharpness >= 20 AND NOT is_upscaled`,
  ],
];

async function expectSame(filter: ImageFilter, condition: string): Promise<void> {
  for (const principal of [unrestrictedPrincipal, shopPrincipal]) {
    const rows = await selectRows<{ id: number }>(
      database,
      `SELECT id FROM images WHERE deleted_at IS NULL AND ${condition}
         AND (${principal.tenantId === null} OR tenant_id = ${principal.tenantId ?? 0}) ORDER BY id DESC`,
    );
    const { items, total } = await images.list(principal, filter, { limit: 200, offset: 0 });
    expect(rows.length).toBeGreaterThan(0);
    expect({ ids: items.map(({ id }) => id), total }).toEqual({
      ids: rows.map(({ id }) => id),
      total: rows.length,
    });
  }
}

test.each(cases)('lists and counts the images that match %j', async (facts, condition) => {
  await expectSame({ facts }, condition);
});

test('lists and counts images with a warning', async () => {
  await expectSame({ warning: 'min_fill' }, 'warnings IS NOT NULL');
  expect((await images.list(shopPrincipal, { warning: 'max_fill' }, { limit: 9, offset: 0 })).total).toBe(0);
});

test('combines facts with the other filters', async () => {
  const filter: ImageFilter = {
    tenant: 'other',
    facts: { minFill: 0 },
    warning: 'min_fill',
    status: 'completed',
  };
  await expect(images.list(shopPrincipal, filter, { limit: 9, offset: 0 })).resolves.toMatchObject({
    total: 0,
  });
  const { items, total } = await images.list(unrestrictedPrincipal, filter, { limit: 3, offset: 0 });
  expect(total).toBeGreaterThanOrEqual(items.length);
  for (const item of items) expect(item).toMatchObject({ tenant: 'other', warnings: [{ rule: 'min_fill' }] });
});
