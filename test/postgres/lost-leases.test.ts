import { sql } from 'kysely';
import { expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import { useDatabase } from '../support/inner/database.ts';
import { recordPending } from '../support/inner/jobs.ts';

const database = await useDatabase();
const { jobs, tenants } = makeQueries(database);
const shop = await tenants.ensure('shop');

test('takes over other jobs while a suspended worker holds a lock on the row of one job', async () => {
  const suspendedJob = await recordPending(database, shop.id, 'suspended');
  const otherJob = await recordPending(database, shop.id, 'other');
  await jobs.claimDue('derive', 2, 60);
  await database.sql.transaction().execute(async (transaction) => {
    await sql`SELECT 1 FROM jobs WHERE id = ${suspendedJob.jobId} FOR UPDATE`.execute(transaction);
    expect((await jobs.takeOverLostLeases(10, true)).requeued).toEqual([
      { id: otherJob.jobId, kind: 'derive' },
    ]);
  });
  expect((await jobs.takeOverLostLeases(10, true)).requeued).toEqual([
    { id: suspendedJob.jobId, kind: 'derive' },
  ]);
});
