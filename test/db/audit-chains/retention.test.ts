import { expect, test } from 'vitest';
import { makeAuditChainQueries } from '../../../src/db/audit-chains/audit-chains.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { listChainIds, sealAll, tamper, writeEntry } from '../../support/inner/audit-log.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';

const database = await useDatabase();
const chains = makeAuditChainQueries(database);
const tenants = makeTenantQueries(database);

/**
 * Writes and seals one entry per age in days, as on a machine whose clock was set back. A negative age is in the future.
 */
async function makeChain(name: string, ages: readonly number[]): Promise<number> {
  const { id: tenantId } = await tenants.ensure(name);
  const values = ages.map(
    (age) => `(${tenantId}, '${name}', now() - interval '${age} days', 'robot', 'image.create')`,
  );
  await database.runScript(
    `INSERT INTO audit_log (tenant_id, tenant, at, actor, action) VALUES ${values.join(', ')}`,
  );
  await sealAll(chains);
  return tenantId;
}

const listPositions = async (tenantId: number): Promise<number[]> => {
  const rows = await selectRows<{ position: number }>(
    database,
    `SELECT position FROM audit_log WHERE tenant_id = ${tenantId} AND action = 'image.create' ORDER BY position`,
  );
  return rows.map(({ position }) => position);
};

test('removes old entries, records this in the chain, and verifies from there', async () => {
  const tenantId = await makeChain('retention', [400, 399, 3, 2]);
  expect(await chains.removeOlderThan(365)).toBe(2);
  expect(await listPositions(tenantId)).toEqual([3, 4]);
  // Also before the record is sealed.
  expect(await chains.verifyChain(tenantId)).toMatchObject({ removed: 2, checked: 2, damage: null });
  await sealAll(chains);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ removed: 2, checked: 3, damage: null });
  const record = await selectRow<object>(
    database,
    `SELECT actor, tenant, details FROM audit_log WHERE tenant_id = ${tenantId} AND action = 'audit.expire'`,
  );
  expect(record).toMatchObject({
    actor: 'system',
    tenant: 'retention',
    details: { removed: 2, position: 2, keep_days: 365 },
  });
  expect(await chains.removeOlderThan(365)).toBe(0);
});

test.each([
  // The order of times is not that of positions, because a long transaction may commit late.
  { name: 'an old entry behind a young one', ages: [400, 1, 400, 2], kept: [2, 3, 4] },
  { name: 'an entry from the future before old ones', ages: [400, -900, 400, 2], kept: [4] },
  { name: 'an entry from the future before young ones', ages: [400, -900, 1], kept: [2, 3] },
  { name: 'only young entries', ages: [364, 1], kept: [1, 2] },
  { name: 'only old entries', ages: [400, 380], kept: [] },
])('keeps what is younger: $name', async ({ name, ages, kept }) => {
  const tenantId = await makeChain(name.replaceAll(' ', '-'), ages);
  await chains.removeOlderThan(365);
  expect(await listPositions(tenantId)).toEqual(kept);
  await sealAll(chains);
  expect((await chains.verifyChain(tenantId)).damage).toBeNull();
});

test('never removes an entry that is not sealed', async () => {
  const { id: tenantId } = await tenants.ensure('unsealed-old');
  await database.runScript(
    `INSERT INTO audit_log (tenant_id, at, actor, action) VALUES (${tenantId}, '2001-01-01', 'robot', 'image.create')`,
  );
  await chains.removeOlderThan(1);
  expect(await chains.readUnsealed({ tenantId }, [tenantId])).toMatchObject({ total: 1 });
  await sealAll(chains);
  await chains.removeOlderThan(1);
  expect(await listPositions(tenantId)).toEqual([]);
});

test('removes more entries than fit in one transaction', async () => {
  const tenantId = await makeChain('long', Array<number>(6_000).fill(400));
  await writeEntry(database, { tenantId });
  await sealAll(chains);
  expect(await chains.removeOlderThan(365)).toBeGreaterThanOrEqual(6_000);
  await sealAll(chains);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ removed: 6_000, damage: null });
});

test('leaves the chain of a tenant alone in which only the records of removals are old', async () => {
  const tenantId = await makeChain('unused-tenant', [400]);
  await chains.removeOlderThan(365);
  await sealAll(chains);
  await tamper(
    database,
    `UPDATE audit_log SET at = at - interval '400 days' WHERE tenant_id = ${tenantId} AND action = 'audit.expire'`,
  );
  await chains.removeOlderThan(365);
  expect(await listChainIds(database, tenantId)).toHaveLength(1);
});

test('detects a checkpoint that was moved after a removal', async () => {
  const tenantId = await makeChain('moved-checkpoint', [400, 3, 2, 1]);
  await chains.removeOlderThan(365);
  await sealAll(chains);
  await tamper(
    database,
    `UPDATE audit_chains SET checkpoint_position = 2, checkpoint_hash = (
       SELECT hash FROM audit_log WHERE tenant_id = ${tenantId} AND position = 2) WHERE tenant_id = ${tenantId};
     DELETE FROM audit_log WHERE tenant_id = ${tenantId} AND position = 2`,
  );
  expect((await chains.verifyChain(tenantId)).damage).toMatchObject({
    position: 2,
    reason: expect.stringContaining('No entry records the checkpoint'),
  });
});
