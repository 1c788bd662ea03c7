import { describe, expect, test } from 'vitest';
import { makeAuditChainQueries } from '../../../src/db/audit-chains/audit-chains.ts';
import { installationChain } from '../../../src/db/audit-chains/chain.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { systemPrincipal } from '../../../src/model/principal.ts';
import { listChainIds, sealAll, tamper, writeEntry } from '../../support/inner/audit-log.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';

const database = await useDatabase();
const chains = makeAuditChainQueries(database);
const tenants = makeTenantQueries(database);

/** Writes and seals entries of a new tenant. Returns the tenant's id and the ids of the entries. */
async function makeChain(name: string, count: number) {
  const { id: tenantId } = await tenants.ensure(name);
  await writeEntry(database, { tenantId, count });
  await sealAll(chains);
  return { tenantId, ids: await listChainIds(database, tenantId) };
}

test('confirms an intact chain of several batches', async () => {
  const { tenantId } = await makeChain('intact', 2_300);
  const report = await chains.verifyChain(tenantId);
  expect(report).toMatchObject({ tenantId, tenant: 'intact', removed: 0, checked: 2_300, damage: null });
  expect(report.head).toEqual({ position: 2_300, hash: expect.stringMatching(/^[\da-f]{64}$/) });
});

test('lists entries that are not sealed', async () => {
  const { tenantId } = await makeChain('unsealed', 1);
  await writeEntry(database, { tenantId, action: 'image.delete', target: 'late' });
  const unsealed = await chains.readUnsealed(systemPrincipal, [tenantId]);
  expect(unsealed).toMatchObject({ total: 1, entries: [{ action: 'image.delete', target: 'late' }] });
  expect(await chains.readUnsealed({ tenantId: tenantId + 1 }, undefined)).toMatchObject({ total: 0 });
  await sealAll(chains);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ checked: 2, damage: null });
});

test('puts actions on the whole installation into a chain of their own', async () => {
  await writeEntry(database, { tenantId: null, action: 'key.create' });
  await sealAll(chains);
  expect(await chains.nextChain(-1)).toBe(installationChain);
  expect(await chains.verifyChain(installationChain)).toMatchObject({ tenantId: null, damage: null });
});

/** Makes a sealed entry that is `copy`, except for the given columns. */
const insertCopy = (id: number, position: string, hash = 'hash') => `
  INSERT INTO audit_log (tenant_id, tenant, at, actor, key_id, action, target, details, position, hash)
  SELECT tenant_id, tenant, at, actor, key_id, action, target, details, ${position}, ${hash} FROM audit_log WHERE id = ${id}`;

const update = (id: number, change: string) => `UPDATE audit_log SET ${change} WHERE id = ${id}`;
const updateChain = (tenantId: number, change: string) =>
  `UPDATE audit_chains SET ${change} WHERE tenant_id = ${tenantId}`;

/** Each case changes a chain of five entries. `position` is the first damage that a verification finds. */
const tampering: readonly {
  readonly change: string;
  readonly position: number;
  /** Index of the entry that is named; left out if the damage is not an entry. */
  readonly entry?: number;
  readonly reason: RegExp;
  readonly script: (ids: readonly number[], tenantId: number) => string;
}[] = [
  ...[
    `actor = 'nobody'`,
    'key_id = NULL',
    `action = 'image.restore'`,
    `target = 'other'`,
    `details = '{}'`,
    `at = at + interval '1 microsecond'`,
    `tenant = 'other'`,
    `hash = sha256('x')`,
  ].map((change) => ({
    change,
    position: 3,
    entry: 2,
    reason: /does not match its hash/,
    script: (ids: readonly number[]) => update(ids[2] ?? 0, change),
  })),
  {
    change: 'an entry in the middle is deleted',
    position: 3,
    reason: /^The entry is missing/,
    script: (ids) => `DELETE FROM audit_log WHERE id = ${ids[2]}`,
  },
  {
    change: 'the first entry is deleted',
    position: 1,
    reason: /^The entry is missing/,
    script: (ids) => `DELETE FROM audit_log WHERE id = ${ids[0]}`,
  },
  {
    change: 'the last entries are deleted',
    position: 4,
    reason: /from 4 to 5 are missing/,
    script: (ids) => `DELETE FROM audit_log WHERE id IN (${ids[3]}, ${ids[4]})`,
  },
  {
    change: 'all entries are deleted',
    position: 1,
    reason: /from 1 to 5 are missing/,
    script: (_ids, tenantId) => `DELETE FROM audit_log WHERE tenant_id = ${tenantId}`,
  },
  {
    change: 'an entry in the middle is deleted, and the following ones move up',
    position: 3,
    entry: 3,
    reason: /does not match its hash/,
    script: (ids) => `DELETE FROM audit_log WHERE id = ${ids[2]};
      ${update(ids[3] ?? 0, 'position = 3')}; ${update(ids[4] ?? 0, 'position = 4')}`,
  },
  {
    change: 'two entries are swapped',
    position: 2,
    entry: 2,
    reason: /does not match its hash/,
    script: (ids) => `${update(ids[1] ?? 0, 'position = 99')}; ${update(ids[2] ?? 0, 'position = 2')};
      ${update(ids[1] ?? 0, 'position = 3')}`,
  },
  {
    change: 'an entry is inserted at the end',
    position: 6,
    reason: /beyond the stored end/,
    script: (ids) => insertCopy(ids[4] ?? 0, '6'),
  },
  {
    change: 'an entry is inserted at the end, and the stored end moves',
    position: 6,
    entry: 5,
    reason: /does not match its hash/,
    script: (ids, tenantId) =>
      `${insertCopy(ids[4] ?? 0, '6')}; ${updateChain(tenantId, 'last_position = 6')}`,
  },
  {
    change: 'the entry goes to another tenant',
    position: 5,
    reason: /^The entry is missing/,
    script: (ids) => update(ids[4] ?? 0, 'tenant_id = 999999'),
  },
  {
    change: 'the stored hash of the end is changed',
    position: 5,
    reason: /does not match the stored end/,
    script: (_ids, tenantId) => updateChain(tenantId, `last_hash = sha256('x')`),
  },
  {
    change: 'the stored end is removed',
    position: 1,
    reason: /stored end of the chain was removed/,
    script: (_ids, tenantId) => `DELETE FROM audit_chains WHERE tenant_id = ${tenantId}`,
  },
  {
    change: 'the checkpoint moves over entries that exist',
    position: 1,
    reason: /the checkpoint was changed/,
    script: (_ids, tenantId) => updateChain(tenantId, 'checkpoint_position = 2'),
  },
  {
    change: 'entries are removed as retention does it, but without a record',
    position: 2,
    reason: /No entry records the checkpoint/,
    script: (ids, tenantId) => `
      ${updateChain(tenantId, `checkpoint_position = 2, checkpoint_hash = (SELECT hash FROM audit_log WHERE id = ${ids[1]})`)};
      DELETE FROM audit_log WHERE id IN (${ids[0]}, ${ids[1]})`,
  },
];

describe('verification names the first damage if', () => {
  test.each(tampering)('$change', async ({ change, position, entry, reason, script }) => {
    const { tenantId, ids } = await makeChain(
      `tampered-${change.replaceAll(/[^a-z]/g, '-').slice(0, 50)}`,
      5,
    );
    await tamper(database, script(ids, tenantId));
    const { damage } = await chains.verifyChain(tenantId);
    expect(damage).toMatchObject({ position, reason: expect.stringMatching(reason) });
    const allIds = await listChainIds(database, tenantId);
    const known = [...ids, ...allIds.filter((id) => !ids.includes(id))];
    expect(damage?.id).toBe(entry === undefined ? null : known[entry]);
  });
});

test('finds a chain of which only the entries or only the end exists', async () => {
  const { tenantId } = await makeChain('only-end', 1);
  const { tenantId: otherId } = await makeChain('only-entries', 1);
  await tamper(
    database,
    `DELETE FROM audit_log WHERE tenant_id = ${tenantId}; DELETE FROM audit_chains WHERE tenant_id = ${otherId}`,
  );
  expect(await chains.nextChain(tenantId - 1)).toBe(tenantId);
  expect(await chains.nextChain(otherId - 1)).toBe(otherId);
});

test('the database rejects every change but sealing', async () => {
  const { tenantId, ids } = await makeChain('protected', 3);
  await writeEntry(database, { tenantId });
  for (const script of [
    update(ids[0] ?? 0, `actor = 'nobody'`),
    update(ids[0] ?? 0, 'position = 7'),
    `UPDATE audit_log SET actor = 'nobody' WHERE tenant_id = ${tenantId} AND position IS NULL`,
    `DELETE FROM audit_log WHERE tenant_id = ${tenantId}`,
    `SET vitrine.audit_retention = 'on'; DELETE FROM audit_log WHERE tenant_id = ${tenantId}`,
    'TRUNCATE audit_log',
    'TRUNCATE audit_log, audit_chains',
    'TRUNCATE audit_chains',
    `DELETE FROM audit_chains WHERE tenant_id = ${tenantId}`,
    updateChain(tenantId, `last_hash = sha256('x')`),
    updateChain(tenantId, 'last_position = 2'),
    updateChain(tenantId, `checkpoint_position = 2, checkpoint_hash = sha256('x')`),
    updateChain(tenantId, 'tenant_id = 999998'),
  ])
    await expect(database.runScript(script), script).rejects.toThrow(/audit log cannot be changed/);
  await sealAll(chains);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ checked: 4, damage: null });
});

test('seals in the order in which it sees the entries, whatever their ids and times', async () => {
  const { tenantId } = await makeChain('out-of-order', 2);
  const { id } = await selectRow<{ id: number }>(
    database,
    `INSERT INTO audit_log (id, tenant_id, tenant, at, actor, action) OVERRIDING SYSTEM VALUE
     VALUES (-1, ${tenantId}, 'out-of-order', '1999-01-01', 'a late commit with a low id', 'image.create') RETURNING id`,
  );
  await database.runScript(`
    INSERT INTO audit_log (tenant_id, tenant, at, actor, action)
    VALUES (${tenantId}, 'out-of-order', '2999-01-01', 'a clock that jumped', 'image.create')`);
  await sealAll(chains);
  expect((await listChainIds(database, tenantId)).indexOf(id)).toBe(2);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ checked: 4, damage: null });
});
