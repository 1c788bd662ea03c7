import { expect, test } from 'vitest';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeJobReportQueries } from '../../../src/db/jobs/job-reports.ts';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { makeFailedAttempt, claimOne, recordPending } from '../../support/inner/jobs.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const record = (content: string, priority = 50) => recordPending(database, shop.id, content, { priority });

/** Claims `count` jobs one by one and returns their ids. */
const claimIds = async (count: number, kind: 'derive' | 'import' = 'derive') => {
  const ids: number[] = [];
  for (let i = 0; i < count; i++) ids.push(...(await jobs.claimDue(kind, 1, 60)).map(({ id }) => id));
  return ids;
};

test('claims jobs by priority, then by age', async () => {
  const batchJob = await record('batch', 100);
  const singleJob = await record('single', 50);
  const inlineJob = await record('inline', 10);
  const laterJob = await record('later', 50);
  expect(await claimIds(4)).toEqual([inlineJob.jobId, singleJob.jobId, laterJob.jobId, batchJob.jobId]);
});

test('alternates between tenants, so that one tenant’s long queue does not delay the others', async () => {
  const [mall, kiosk] = [await tenants.ensure('mall'), await tenants.ensure('kiosk')];
  const recordFor = (tenantId: number, content: string) =>
    recordPending(database, tenantId, content, { priority: 50 });
  const shopJobs: number[] = [];
  for (let i = 0; i < 20; i++) shopJobs.push((await recordFor(shop.id, `long ${i}`)).jobId);
  expect(await claimIds(3)).toEqual(shopJobs.slice(0, 3));
  const mallJobs = [(await recordFor(mall.id, 'first')).jobId, (await recordFor(mall.id, 'second')).jobId];
  const kioskJobs = [(await recordFor(kiosk.id, 'only')).jobId];
  expect(await claimIds(7)).toEqual([
    shopJobs[3],
    mallJobs[0],
    kioskJobs[0],
    shopJobs[4],
    mallJobs[1],
    shopJobs[5],
    shopJobs[6],
  ]);
});

test('does not let one tenant’s new jobs repeatedly overtake another tenant’s waiting jobs', async () => {
  const mall = await tenants.ensure('mall');
  for (let i = 0; i < 5; i++) await record(`waiting ${i}`);
  let overtakenCount = 0;
  for (let i = 0; i < 5; i++) {
    await recordPending(database, mall.id, `new ${i}`, { priority: 50 });
    const [job] = await jobs.claimDue('derive', 1, 60);
    if (job?.tenantId === mall.id) overtakenCount++;
  }
  expect(overtakenCount).toBeLessThanOrEqual(3);
});

test('puts a manually retried job at the end of the queue', async () => {
  const { jobId } = await record('failed once');
  await jobs.recordFailure(await claimOne(database), makeFailedAttempt('permanent'), { state: 'failed' });
  const otherJobs = [await record('other 1'), await record('other 2')];
  await makeJobQueries(database).retry(unrestrictedPrincipal, jobId);
  expect(await claimIds(3)).toEqual([...otherJobs.map((job) => job.jobId), jobId]);
});

test('claims the most urgent jobs, up to the given limit', async () => {
  for (let i = 0; i < 5; i++) await record(`late ${i}`, 100);
  const urgentJob = await record('urgent', 10);
  const claimedJobs = await jobs.claimDue('derive', 3, 60);
  expect(claimedJobs).toHaveLength(3);
  expect(claimedJobs[0]?.id).toBe(urgentJob.jobId);
  expect(await jobs.claimDue('derive', 9, 60)).toHaveLength(3);
});

test('does not claim a job before it is due', async () => {
  const { jobId } = await record('later');
  await database.runScript(`UPDATE jobs SET run_at = now() + interval '1 hour' WHERE id = ${jobId}`);
  expect(await jobs.claimDue('derive', 9, 60)).toEqual([]);
});

test('returns a job with the data that a worker needs, and sets the image status to processing', async () => {
  const { jobId, imageId } = await record('facts');
  expect(await claimOne(database)).toEqual({
    id: jobId,
    kind: 'derive',
    imageId,
    tenantId: shop.id,
    original: { key: expect.stringContaining(sha256Hex('facts')) as string, contentHash: sha256Hex('facts') },
    sourceUrl: null,
    focalPoint: null,
    variants: null,
    campaignId: null,
    isFirstRun: true,
    leaseToken: 1,
    priority: 50,
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
  });
  const image = await makeImageQueries(database).find(unrestrictedPrincipal, { id: imageId });
  expect(image?.status).toBe('processing');
});

test('never returns the same job to two concurrent claims', async () => {
  for (let i = 0; i < 30; i++) await record(`job ${i}`);
  const claims = await Promise.all(Array.from({ length: 20 }, () => jobs.claimDue('derive', 2, 60)));
  const ids = claims.flat().map(({ id }) => id);
  expect(ids).toHaveLength(30);
  expect(new Set(ids).size).toBe(30);
});

test('grants and renews a lease of the given duration, measured by the database clock', async () => {
  await record('lease');
  const job = await claimOne(database, 60);
  const selectRemainingLease = () =>
    selectRow<{ seconds: number }>(
      database,
      `SELECT extract(epoch FROM lease_until - now())::float8 AS seconds FROM jobs WHERE id = ${job.id}`,
    );
  expect((await selectRemainingLease()).seconds).toBeCloseTo(60, -1);
  expect(await jobs.renewLeases([job], 500)).toEqual(new Set([job]));
  expect((await selectRemainingLease()).seconds).toBeGreaterThan(400);
});

test('does not renew a lost lease', async () => {
  await record('kept');
  const keptJob = await claimOne(database);
  await record('lost');
  const lostJob = await claimOne(database);
  await jobs.handBack([lostJob]);
  expect(await jobs.renewLeases([keptJob, lostJob], 60)).toEqual(new Set([keptJob]));
  const nextClaim = await claimOne(database);
  expect(nextClaim.id).toBe(lostJob.id);
  expect(await jobs.renewLeases([keptJob, lostJob], 60)).toEqual(new Set([keptJob]));
});

test('makes a handed-back job due immediately, without using up a retry', async () => {
  const { imageId } = await record('handed back');
  const job = await claimOne(database);
  await jobs.handBack([job]);
  const image = await makeImageQueries(database).find(unrestrictedPrincipal, { id: imageId });
  expect(image?.status).toBe('pending');
  expect(await makeJobReportQueries(database).find(unrestrictedPrincipal, job.id)).toMatchObject({
    state: 'pending',
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
    history: [],
  });
  expect(await claimOne(database)).toMatchObject({ id: job.id, leaseToken: 2 });
});

test('accepts an empty list of jobs to hand back', async () => {
  await expect(jobs.handBack([])).resolves.toBeUndefined();
});
