import { beforeEach, expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { systemPrincipal, unrestrictedPrincipal } from '../../src/model/principal.ts';
import { selectRow, selectRows, useDatabase } from '../support/inner/database.ts';

const database = await useDatabase();
const { tenantSettings, tenants, expiredRows } = makeQueries(database);
const shop = await tenants.ensure('shop');
const actor = { ...systemPrincipal, subject: 'key 0123456789abcdef (ops)', keyId: '0123456789abcdef' };

let lastEntryId = 0;
beforeEach(async () => {
  // Entries of the audit log cannot be removed, so those of earlier tests are skipped.
  const { id } = await selectRow<{ id: number }>(
    database,
    'SELECT coalesce(max(id), 0) AS id FROM audit_log',
  );
  lastEntryId = id;
});

const listEntries = () =>
  selectRows<{ actor: string; action: string; tenant: string; target: string; details: unknown }>(
    database,
    `SELECT actor, action, tenant, target, details FROM audit_log WHERE id > ${lastEntryId} ORDER BY id`,
  );

test('replaces settings, and records what changed in the audit log', async () => {
  expect(await tenantSettings.find(shop.id)).toEqual({});
  const first = { delivery: 'public', quota_images: 10 } as const;
  expect(await tenantSettings.replace(actor, 'shop', () => first)).toEqual({ ...shop, own: first });
  const second = { delivery: 'public', quota_bytes: null } as const;
  await tenantSettings.replace(actor, 'shop', () => second);
  expect(await tenantSettings.find(shop.id)).toEqual(second);
  expect(await tenantSettings.findByName(unrestrictedPrincipal, 'shop')).toEqual({ ...shop, own: second });
  const entry = { actor: actor.subject, action: 'tenant.configure', tenant: 'shop', target: 'shop' };
  expect(await listEntries()).toEqual([
    { ...entry, details: { delivery: { to: 'public' }, quota_images: { to: 10 } } },
    { ...entry, details: { quota_images: { from: 10 }, quota_bytes: { to: null } } },
  ]);
});

test('records nothing if nothing changes, or if the change is rejected', async () => {
  await tenantSettings.replace(actor, 'shop', () => ({}));
  await expect(
    tenantSettings.replace(actor, 'shop', () => {
      throw new Error('rejected');
    }),
  ).rejects.toThrow('rejected');
  expect(await listEntries()).toEqual([]);
});

test('does not find a tenant that does not exist or that the principal may not see', async () => {
  const stranger = { ...actor, tenantId: shop.id + 1_000 };
  for (const [principal, name] of [
    [actor, 'nobody'],
    [stranger, 'shop'],
  ] as const) {
    expect(await tenantSettings.findByName(principal, name)).toBeUndefined();
    expect(await tenantSettings.replace(principal, name, () => ({ delivery: 'public' }))).toBeUndefined();
  }
  expect(await tenantSettings.find(shop.id)).toEqual({});
});

test('applies concurrent changes one after the other', async () => {
  await Promise.all(
    Array.from({ length: 8 }, () =>
      tenantSettings.replace(actor, 'shop', ({ quota_images: images }) => ({
        quota_images: (images ?? 0) + 1,
      })),
    ),
  );
  expect(await tenantSettings.find(shop.id)).toEqual({ quota_images: 8 });
});

test('skips stored settings that this version does not know', async () => {
  await database.runScript(
    `UPDATE tenants SET settings = '{"delivery": "newer", "quota_images": 5, "quota_bytes": -1, "other": true}' WHERE name = 'shop'`,
  );
  expect(await tenantSettings.find(shop.id)).toEqual({ quota_images: 5 });
});

test('keeps a tenant with settings of its own', async () => {
  await tenants.ensure('configured');
  await tenants.ensure('idle');
  await tenantSettings.replace(actor, 'configured', () => ({ quota_images: 5 }));
  await database.runScript(
    `UPDATE tenants SET used_at = now() - interval '90 days' WHERE name IN ('configured', 'idle')`,
  );
  await expiredRows.removeTenants(30);
  expect(
    await selectRow(
      database,
      "SELECT array_agg(name) AS names FROM tenants WHERE name IN ('configured', 'idle')",
    ),
  ).toEqual({ names: ['configured'] });
});
