import { expect, test } from 'vitest';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeJobReportQueries } from '../../../src/db/jobs/job-reports.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeFailedAttempt, claimOne, makeDue, recordPending } from '../../support/inner/jobs.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const findReport = (id: number) => makeJobReportQueries(database).find(unrestrictedPrincipal, id);
const findImage = (id: number) => makeImageQueries(database).find(unrestrictedPrincipal, { id });

test('schedules each retry after exactly its delay, measured by the database clock', async () => {
  const { jobId, imageId } = await recordPending(database, shop.id, 'retried');
  for (const [index, delaySeconds] of [2, 4, 8].entries()) {
    const job = await claimOne(database);
    expect(job.retries).toBe(index);
    const nextState = { state: 'pending', delaySeconds, counter: 'retries' } as const;
    expect(await jobs.recordFailure(job, makeFailedAttempt('transient'), nextState)).toBe(true);
    // One statement sets `run_at` and adds the history entry, so the delay starts at the time in the entry.
    const { delay } = await selectRow<{ delay: number }>(
      database,
      `SELECT extract(epoch FROM run_at - (history->-1->>'at')::timestamptz)::float8 AS delay FROM jobs`,
    );
    expect(delay).toBeCloseTo(delaySeconds, 5);
    expect(await jobs.claimDue('derive', 1, 60)).toEqual([]);
    expect(await findImage(imageId)).toMatchObject({ status: 'pending', error: null, processedAt: null });
    await makeDue(database, jobId);
  }
  expect(await claimOne(database)).toMatchObject({ id: jobId, retries: 3, crashes: 0 });
});

test('does not claim a retry before it is due', async () => {
  await recordPending(database, shop.id, 'delayed');
  const nextState = { state: 'pending', delaySeconds: 0.4, counter: 'retries' } as const;
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('transient'), nextState);
  const startedAt = performance.now();
  await expect.poll(() => jobs.claimDue('derive', 1, 60), { interval: 20 }).toHaveLength(1);
  expect(performance.now() - startedAt).toBeGreaterThan(350);
});

test('counts crashes separately from retries', async () => {
  const { jobId } = await recordPending(database, shop.id, 'crash');
  const nextState = { state: 'pending', delaySeconds: 0, counter: 'crashes' } as const;
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('crash'), nextState);
  expect(await claimOne(database)).toMatchObject({ id: jobId, retries: 0, crashes: 1 });
});

test('records a final failure on the image, and leaves no job to claim', async () => {
  const { imageId } = await recordPending(database, shop.id, 'final');
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('permanent'), { state: 'failed' });
  const image = await findImage(imageId);
  expect(image).toMatchObject({
    status: 'failed',
    error: 'A permanent failure.',
    errorCode: 'permanent_code',
  });
  expect(image?.processedAt).toBeInstanceOf(Date);
  expect(await jobs.claimDue('derive', 1, 60)).toEqual([]);
});

test('records every failed attempt in the history, with its class, stage, reason and time', async () => {
  const { jobId } = await recordPending(database, shop.id, 'history');
  const nextState = { state: 'pending', delaySeconds: 0, counter: 'retries' } as const;
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('transient'), nextState);
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('crash'), { state: 'failed' });
  const report = await findReport(jobId);
  expect(report?.history).toMatchObject([
    { failureClass: 'transient', stage: 'decode', code: 'transient_code', error: 'A transient failure.' },
    { failureClass: 'crash', stage: 'decode', code: 'crash_code', error: 'A crash failure.' },
  ]);
  for (const { at } of report?.history ?? []) {
    expect(Math.abs(Date.now() - new Date(at).getTime())).toBeLessThan(60_000);
  }
});

test('lists only failed jobs in poison_jobs, with their history', async () => {
  const { jobId, imageId } = await recordPending(database, shop.id, 'poison');
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('crash'), { state: 'failed' });
  await recordPending(database, shop.id, 'healthy');
  const poisonJobs = await selectRows<Record<string, unknown>>(database, 'SELECT * FROM poison_jobs');
  expect(poisonJobs).toMatchObject([
    {
      id: jobId,
      image_id: imageId,
      content_hash: sha256Hex('poison'),
      failure_class: 'crash',
      failure_stage: 'decode',
      error: 'A crash failure.',
      history: [{ failureClass: 'crash' }],
    },
  ]);
  expect(poisonJobs[0]?.['failed_at']).toBeInstanceOf(Date);
});

test('returns no report for an unknown job', async () => {
  expect(await findReport(123_456)).toBeUndefined();
});
