import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeAuditChainQueries } from '../../src/db/audit-chains/audit-chains.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { listChainIds, sealAll, writeEntry } from '../support/inner/audit-log.ts';
import { useDatabase } from '../support/inner/database.ts';

/** Tests races between database connections. These races cannot occur in the embedded database, which has only one. */

const database = await useDatabase();
const chains = makeAuditChainQueries(database);
const tenants = makeTenantQueries(database);

test('several processes seal at once while others write and one verifies', async () => {
  const { id: tenantId } = await tenants.ensure('busy');
  const writing = new AbortController();
  const write = async (): Promise<void> => {
    for (let entry = 0; entry < 150; entry += 1) await writeEntry(database, { tenantId });
  };
  const seal = async (): Promise<void> => {
    while (!writing.signal.aborted) await chains.seal();
  };
  const verify = async (): Promise<void> => {
    while (!writing.signal.aborted) expect((await chains.verifyChain(tenantId)).damage).toBeNull();
  };
  await writeEntry(database, { tenantId });
  await sealAll(chains);
  const background = [seal(), seal(), seal(), verify()];
  await Promise.all([write(), write(), write()]);
  writing.abort();
  await Promise.all(background);
  await sealAll(chains);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ checked: 451, damage: null });
});

test('an entry that commits after one with a higher id is sealed behind it', async () => {
  const { id: tenantId } = await tenants.ensure('late-commit');
  let lowId = 0;
  await database.sql.transaction().execute(async (transaction) => {
    await writeEntry({ sql: transaction }, { tenantId, target: 'low id' });
    await writeEntry(database, { tenantId, target: 'high id' });
    await sealAll(chains);
    const [highId = 0] = await listChainIds(database, tenantId);
    lowId = highId - 1;
  });
  await sealAll(chains);
  expect(await listChainIds(database, tenantId)).toEqual([lowId + 1, lowId]);
  expect(await chains.verifyChain(tenantId)).toMatchObject({ checked: 2, damage: null });
});

test('retention, sealing and verification do not disturb each other', async () => {
  const { id: tenantId } = await tenants.ensure('shortened');
  const running = new AbortController();
  const writeOld = async (): Promise<void> => {
    for (let round = 0; round < 40; round += 1) {
      await database.runScript(`
        INSERT INTO audit_log (tenant_id, tenant, at, actor, action)
        SELECT ${tenantId}, 'shortened', now() - interval '400 days', 'robot', 'image.create' FROM generate_series(1, 100)`);
      await sealAll(chains);
      await sleep(5);
    }
  };
  const repeat = async (work: () => Promise<unknown>): Promise<void> => {
    while (!running.signal.aborted) await work();
  };
  const shorten = () => chains.removeOlderThan(365);
  await writeEntry(database, { tenantId });
  await sealAll(chains);
  const background = [
    repeat(shorten),
    repeat(shorten),
    repeat(async () => expect((await chains.verifyChain(tenantId)).damage).toBeNull()),
  ];
  await writeOld();
  running.abort();
  await Promise.all(background);
  await sealAll(chains);
  expect((await chains.verifyChain(tenantId)).damage).toBeNull();
});
