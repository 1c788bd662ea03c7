import { describe, expect, test } from 'vitest';
import { insertAudit, makeAuditQueries } from '../../src/db/audit.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import type { AuditAction } from '../../src/model/audit.ts';
import { systemPrincipal } from '../../src/model/principal.ts';
import { selectRows, useDatabase } from '../support/inner/database.ts';
import { sql } from 'kysely';

const database = await useDatabase();
const audit = makeAuditQueries(database);
const tenants = makeTenantQueries(database);

/** Writes an entry. `tenantId` is `null` for an action on the whole installation. */
async function write(action: AuditAction, tenantId: number | null, target = 'target'): Promise<void> {
  const actor = { subject: 'key 1 (robot)', keyId: '1' };
  await insertAudit(actor, {
    action,
    from: sql`(SELECT 1) action`,
    tenantId: sql`${tenantId}::int`,
    target: sql`${target}::text`,
    details: sql`jsonb_build_object('size', 3)`,
  }).execute(database.sql);
}

/** Seals everything, and returns the ids of a tenant's entries, oldest first. */
async function sealAndList(tenantId: number): Promise<number[]> {
  while ((await audit.seal()) > 0) continue;
  const rows = await selectRows<{ id: number }>(
    database,
    `SELECT id FROM audit_log WHERE tenant_id = ${tenantId} ORDER BY position`,
  );
  return rows.map(({ id }) => id);
}

const reportFor = async (tenantId: number) =>
  (await audit.verify()).chains.find((chain) => chain.tenantId === tenantId);

/** Changes the log as an attacker with access to the database would, past the trigger. */
const tamper = (script: string) =>
  database.runScript(
    `ALTER TABLE audit_log DISABLE TRIGGER USER; ${script}; ALTER TABLE audit_log ENABLE TRIGGER USER`,
  );

test('lists entries, newest first, only of the tenants that the caller may see', async () => {
  const [shop, rival] = [await tenants.ensure('listed-shop'), await tenants.ensure('listed-rival')];
  await write('image.create', shop.id, 'a');
  await write('image.delete', shop.id, 'b');
  await write('image.create', rival.id, 'c');
  const page = { limit: 10, offset: 0 };
  const own = await audit.list({ tenantId: shop.id }, {}, page);
  expect(own.items.map(({ action, target, tenant }) => [action, target, tenant])).toEqual([
    ['image.delete', 'b', 'listed-shop'],
    ['image.create', 'a', 'listed-shop'],
  ]);
  expect(own.items[0]).toMatchObject({ actor: 'key 1 (robot)', keyId: '1', details: { size: 3 } });
  const all = await audit.list(systemPrincipal, { action: 'image.create', tenant: 'listed-rival' }, page);
  expect(all.items.map(({ target }) => target)).toEqual(['c']);
});

describe('verification', () => {
  test('confirms an intact chain and counts entries that are not sealed yet', async () => {
    const { id } = await tenants.ensure('intact');
    for (let count = 0; count < 5; count += 1) await write('image.create', id);
    await sealAndList(id);
    expect(await reportFor(id)).toEqual({ tenantId: id, checked: 5, broken: null });
    await write('image.delete', id);
    expect((await audit.verify()).unsealed).toBe(1);
    await sealAndList(id);
    expect(await reportFor(id)).toMatchObject({ checked: 6, broken: null });
  });

  test.each([
    ['an altered entry', 2, (id: number) => `UPDATE audit_log SET actor = 'nobody' WHERE id = ${id}`],
    ['an altered time', 2, (id: number) => `UPDATE audit_log SET at = at + interval '1 ms' WHERE id = ${id}`],
    ['a removed entry', 2, (id: number) => `DELETE FROM audit_log WHERE id = ${id}`],
    ['a removed last entry', 4, (id: number) => `DELETE FROM audit_log WHERE id = ${id}`],
  ])('names the position of %s', async (name, position, makeScript) => {
    const { id: tenantId } = await tenants.ensure(name.replaceAll(' ', '-'));
    for (let count = 0; count < 4; count += 1) await write('image.create', tenantId);
    const ids = await sealAndList(tenantId);
    await tamper(makeScript(ids[position - 1] ?? 0));
    expect(await reportFor(tenantId)).toMatchObject({ checked: position - 1, broken: { position } });
  });
});

test('rejects changes of entries', async () => {
  const { id } = await tenants.ensure('protected');
  await write('image.create', id);
  await sealAndList(id);
  for (const script of [
    `UPDATE audit_log SET actor = 'nobody' WHERE tenant_id = ${id}`,
    `UPDATE audit_log SET position = 7 WHERE tenant_id = ${id}`,
    `DELETE FROM audit_log WHERE tenant_id = ${id}`,
  ])
    await expect(database.runScript(script)).rejects.toThrow('audit log cannot be changed');
});

test('starts verification at the last entry that retention removed', async () => {
  const { id } = await tenants.ensure('retention');
  for (let count = 0; count < 3; count += 1) await write('image.create', id);
  const [first, second] = await sealAndList(id);
  await tamper(`UPDATE audit_log SET at = at - interval '400 days' WHERE id IN (${first}, ${second})`);
  // The two entries were altered to make them old, so only the third one is verified afterwards.
  expect(await audit.removeOlderThan(365)).toBeGreaterThanOrEqual(2);
  expect(await reportFor(id)).toEqual({ tenantId: id, checked: 1, broken: null });
});
