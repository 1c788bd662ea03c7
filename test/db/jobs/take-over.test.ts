import { expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { claimOne, recordPending } from '../../support/inner/jobs.ts';
import { makeDerivedFacts } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const findImage = (id: number) => makeImageQueries(database).find(unrestrictedPrincipal, { id });

test('takes over only expired leases, without using up a retry', async () => {
  const { imageId } = await recordPending(database, shop.id, 'expired');
  const expiredJob = await claimOne(database, 0.05);
  await recordPending(database, shop.id, 'active');
  const activeJob = await claimOne(database, 60);
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(await jobs.takeOverLostLeases(10, false)).toEqual({
    requeued: [{ id: expiredJob.id, kind: 'derive' }],
    failed: 0,
  });
  expect(await findImage(imageId)).toMatchObject({ status: 'pending', error: null });
  expect(await claimOne(database)).toMatchObject({
    id: expiredJob.id,
    retries: 0,
    crashes: 0,
    leaseLosses: 1,
  });
  expect(await jobs.renewLeases([activeJob], 60)).toEqual(new Set([activeJob]));
});

test('takes over every lease if no other process is running', async () => {
  await recordPending(database, shop.id, 'first');
  await recordPending(database, shop.id, 'second');
  await jobs.claimDue('derive', 2, 3600);
  expect((await jobs.takeOverLostLeases(10, true)).requeued).toHaveLength(2);
  expect(await jobs.claimDue('derive', 9, 60)).toHaveLength(2);
});

test('leaves pending and finished jobs unchanged', async () => {
  await recordPending(database, shop.id, 'done');
  await makeJobQueries(database).complete(await claimOne(database), [], makeDerivedFacts('done'));
  await recordPending(database, shop.id, 'waiting');
  expect(await jobs.takeOverLostLeases(10, true)).toEqual({ requeued: [], failed: 0 });
  expect(await claimOne(database)).toMatchObject({ leaseLosses: 0 });
});

test('marks a job as failed after its worker has been lost ten times', async () => {
  const { jobId, imageId } = await recordPending(database, shop.id, 'crashes its worker');
  for (let loss = 1; loss <= 9; loss++) {
    await claimOne(database);
    expect((await jobs.takeOverLostLeases(10, true)).requeued).toHaveLength(1);
  }
  await claimOne(database);
  expect(await jobs.takeOverLostLeases(10, true)).toEqual({ requeued: [], failed: 1 });
  const error = 'The worker stopped unexpectedly 10 times while processing this image.';
  expect(await findImage(imageId)).toMatchObject({
    status: 'failed',
    error,
    errorCode: 'worker_lost',
  });
  expect(await jobs.claimDue('derive', 9, 60)).toEqual([]);
  const [poisonJob] = await selectRows<{ id: number; history: unknown[] }>(
    database,
    'SELECT * FROM poison_jobs',
  );
  expect(poisonJob).toMatchObject({ id: jobId, failure_class: 'lease-lost', error, lease_losses: 10 });
  expect(poisonJob?.history).toHaveLength(10);
});
