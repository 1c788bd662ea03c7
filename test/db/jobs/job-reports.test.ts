import { beforeEach, expect, test } from 'vitest';
import type { JobFilter } from '../../../src/db/jobs/job-reports.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { ClaimedJob, FailureClass } from '../../../src/model/job.ts';
import { unrestrictedPrincipal, type Principal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeFailedAttempt } from '../../support/inner/jobs.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const otherTenant = await tenants.ensure('other');
const catalog = makeCatalog(database, shop.id);
const otherCatalog = makeCatalog(database, otherTenant.id);
const { reports, jobs } = catalog;
const shopPrincipal: Principal = { ...unrestrictedPrincipal, tenantId: shop.id };

const fail = (job: ClaimedJob, failureClass: FailureClass) =>
  jobs.recordFailure(job, makeFailedAttempt(failureClass), { state: 'failed' });

let completedJob: ClaimedJob;
let brokenJob: ClaimedJob;
let crashedJob: ClaimedJob;
let importJob: ClaimedJob;
let otherTenantJob: ClaimedJob;

/** Adds the jobs in the order of the variables above. Each job belongs to a different image. */
beforeEach(async () => {
  completedJob = await catalog.upload('completed');
  await catalog.finish(completedJob, 'completed');
  brokenJob = await catalog.upload('broken');
  await fail(brokenJob, 'permanent');
  crashedJob = await catalog.upload('crashed');
  await fail(crashedJob, 'crash');
  importJob = await catalog.claimImport('https://example.com/vase');
  otherTenantJob = await otherCatalog.upload('other');
  await fail(otherTenantJob, 'permanent');
});

async function list(filter: JobFilter, principal = unrestrictedPrincipal) {
  const { items, total } = await reports.list(principal, filter, { limit: 50, offset: 0 });
  expect(total).toBe(items.length);
  return items.map(({ id }) => id);
}

test('lists jobs newest first, with the fields that an operator needs', async () => {
  expect(await list({})).toEqual(
    [otherTenantJob, importJob, crashedJob, brokenJob, completedJob].map(({ id }) => id),
  );
  expect(await reports.find(unrestrictedPrincipal, crashedJob.id)).toMatchObject({
    kind: 'derive',
    state: 'failed',
    tenant: 'shop',
    imageId: crashedJob.imageId,
    failureClass: 'crash',
    failureStage: 'decode',
    errorCode: 'crash_code',
    error: 'A crash failure.',
    history: [{ failureClass: 'crash' }],
    finishedAt: expect.any(Date) as Date,
  });
});

test('applies each filter to the list and its total', async () => {
  const toIds = (...claimedJobs: ClaimedJob[]) => claimedJobs.map(({ id }) => id);
  expect(await list({ state: 'failed' })).toEqual(toIds(otherTenantJob, crashedJob, brokenJob));
  expect(await list({ kind: 'import' })).toEqual(toIds(importJob));
  expect(await list({ tenant: 'other' })).toEqual(toIds(otherTenantJob));
  expect(await list({ tenant: 'unknown' })).toEqual([]);
  expect(await list({ imageId: brokenJob.imageId })).toEqual(toIds(brokenJob));
  expect(await list({ code: 'permanent_code' })).toEqual(toIds(otherTenantJob, brokenJob));
  expect(await list({ failureClass: 'crash' })).toEqual(toIds(crashedJob));
  expect(await list({ state: 'failed', tenant: 'shop', code: 'permanent_code' })).toEqual(toIds(brokenJob));
});

test('returns and retries only jobs of the principal’s tenant', async () => {
  expect(await list({}, shopPrincipal)).toHaveLength(4);
  expect(await list({ tenant: 'other' }, shopPrincipal)).toEqual([]);
  expect(await reports.find(shopPrincipal, otherTenantJob.id)).toBeUndefined();
  expect(await jobs.retry(shopPrincipal, otherTenantJob.id)).toBe('not-found');
  expect(await jobs.retryAll(shopPrincipal, { code: 'permanent_code' })).toEqual([
    { id: brokenJob.id, kind: 'derive' },
  ]);
  expect(await reports.find(unrestrictedPrincipal, otherTenantJob.id)).toMatchObject({ state: 'failed' });
});

test('returns the same pages by cursor as by offset, and no cursor on the last page', async () => {
  const allIds = await list({});
  const idsByCursor: number[] = [];
  let after: number | undefined;
  do {
    const offset = idsByCursor.length;
    const page = await reports.list(unrestrictedPrincipal, {}, { limit: 2, offset: 0, after });
    const pageByOffset = await reports.list(unrestrictedPrincipal, {}, { limit: 2, offset });
    expect(page).toEqual(pageByOffset);
    expect(page.total).toBe(5);
    idsByCursor.push(...page.items.map(({ id }) => id));
    after = page.next;
  } while (after !== undefined);
  expect(idsByCursor).toEqual(allIds);
});

test('resets the retry counters of a retried job, and keeps its history', async () => {
  await database.runScript(
    `UPDATE jobs SET retries = 3, crashes = 1, lease_losses = 2 WHERE id = ${crashedJob.id}`,
  );
  expect(await jobs.retry(unrestrictedPrincipal, crashedJob.id)).toBe('retried');
  expect(await reports.find(unrestrictedPrincipal, crashedJob.id)).toMatchObject({
    state: 'pending',
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
    failureClass: null,
    failureStage: null,
    errorCode: null,
    error: null,
    finishedAt: null,
    history: [{ failureClass: 'crash' }],
  });
  const image = await catalog.image(crashedJob.imageId);
  expect(image).toMatchObject({ status: 'pending', error: null, errorCode: null, processedAt: null });
  const [claimedJob] = await jobs.claimDue('derive', 9, 60);
  expect(claimedJob).toMatchObject({ id: crashedJob.id, retries: 0, crashes: 0, leaseToken: 2 });
  await catalog.finish(claimedJob!, 'crashed');
  expect(await catalog.image(crashedJob.imageId)).toMatchObject({ status: 'completed' });
});

test('does not retry a job that has not failed, and reports an unknown job as not found', async () => {
  for (const { id } of [completedJob, importJob])
    expect(await jobs.retry(unrestrictedPrincipal, id)).toBe('not-retryable');
  expect(await jobs.retry(unrestrictedPrincipal, 424_242)).toBe('not-found');
  expect(await reports.find(unrestrictedPrincipal, completedJob.id)).toMatchObject({ state: 'completed' });
});

test('does not retry a job whose image has since been deleted, purged or completed', async () => {
  await catalog.softDelete(brokenJob.imageId);
  expect(await jobs.retry(unrestrictedPrincipal, brokenJob.id)).toBe('not-retryable');
  await catalog.purge(brokenJob.imageId);
  expect(await jobs.retry(unrestrictedPrincipal, brokenJob.id)).toBe('not-retryable');
  await catalog.finish(await catalog.upload('crashed'), 'crashed');
  expect(await jobs.retry(unrestrictedPrincipal, crashedJob.id)).toBe('not-retryable');
});

test('retries only the newest job of an image', async () => {
  const secondJob = await catalog.upload('broken');
  await fail(secondJob, 'transient');
  expect(secondJob.imageId).toBe(brokenJob.imageId);
  expect(await jobs.retry(unrestrictedPrincipal, brokenJob.id)).toBe('not-retryable');
  expect(await jobs.retryAll(unrestrictedPrincipal, { tenant: 'shop', failureClass: 'permanent' })).toEqual(
    [],
  );
  expect(await jobs.retry(unrestrictedPrincipal, secondJob.id)).toBe('retried');
});

test.each<[JobFilter, number]>([
  [{ code: 'permanent_code' }, 2],
  [{ failureClass: 'crash' }, 1],
  [{ tenant: 'shop' }, 2],
  [{ tenant: 'other', failureClass: 'crash' }, 0],
  [{}, 3],
])('retries all failed jobs that match %o', async (filter, count) => {
  expect(await jobs.retryAll(unrestrictedPrincipal, filter)).toHaveLength(count);
  expect(await reports.countFailed()).toBe(3 - count);
  expect(await jobs.claimDue('derive', 9, 60)).toHaveLength(count);
});

test('requeues a job only once for twenty concurrent retries', async () => {
  const results = await Promise.all(
    Array.from({ length: 20 }, () => jobs.retry(unrestrictedPrincipal, brokenJob.id)),
  );
  expect(results.filter((result) => result === 'retried')).toHaveLength(1);
  expect(await jobs.claimDue('derive', 9, 60)).toHaveLength(1);
});

test('counts pending and processing jobs by kind', async () => {
  expect(await reports.readQueueDepth()).toEqual([
    { kind: 'import', pending: 0, processing: 1, oldestPendingSeconds: null },
  ]);
  await jobs.retryAll(unrestrictedPrincipal, {});
  await database.runScript(`UPDATE jobs SET run_at = now() - interval '100 s' WHERE id = ${brokenJob.id}`);
  const [deriveDepth] = await reports.readQueueDepth();
  expect(deriveDepth).toMatchObject({ kind: 'derive', pending: 3, processing: 0 });
  expect(deriveDepth?.oldestPendingSeconds).toBeCloseTo(100, -1);
  const tenantDepths = await reports.readTenantQueueDepths();
  expect(tenantDepths.reduce((total, { pending }) => total + pending, 0)).toBe(3);
  expect(tenantDepths.every(({ kind, pending }) => kind === 'derive' && pending > 0)).toBe(true);
  expect(Math.max(...tenantDepths.map(({ oldestPendingSeconds }) => oldestPendingSeconds))).toBeCloseTo(
    100,
    -1,
  );
});
