import { expect, test } from 'vitest';
import { makeImageQueries } from '../../src/db/images.ts';
import { makeJobReportQueries } from '../../src/db/job-reports.ts';
import { makeJobQueries } from '../../src/db/jobs.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { openPrincipal } from '../../src/model/principal.ts';
import { rowOf, useDatabase } from '../support/inner/database.ts';
import { claimOne, recordPending } from '../support/inner/jobs.ts';
import { hashOf } from '../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const record = (content: string, priority = 50) => recordPending(database, shop.id, content, { priority });

test('urgent jobs go first, then those that are due longest, then the older ones', async () => {
  const batch = await record('batch', 100);
  const single = await record('single', 50);
  const inline = await record('inline', 10);
  const waiting = await record('waiting', 50);
  await database.runScript(
    `UPDATE jobs SET run_at = now() - interval '1 hour' WHERE id IN (${waiting.jobId}, ${batch.jobId})`,
  );
  const order: number[] = [];
  for (let i = 0; i < 4; i++) order.push(...(await jobs.claimDue('derive', 1, 60)).map(({ id }) => id));
  expect(order).toEqual([inline.jobId, waiting.jobId, single.jobId, batch.jobId]);
});

test('a claim takes no more than its limit, the most urgent ones', async () => {
  for (let i = 0; i < 5; i++) await record(`late ${i}`, 100);
  const urgent = await record('urgent', 10);
  const claimed = await jobs.claimDue('derive', 3, 60);
  expect(claimed).toHaveLength(3);
  expect(claimed[0]?.id).toBe(urgent.jobId);
  expect(await jobs.claimDue('derive', 9, 60)).toHaveLength(3);
});

test('a job whose time has not come is left alone', async () => {
  const { jobId } = await record('later');
  await database.runScript(`UPDATE jobs SET run_at = now() + interval '1 hour' WHERE id = ${jobId}`);
  expect(await jobs.claimDue('derive', 9, 60)).toEqual([]);
});

test('a claimed job tells its holder what it needs, and shows that work is under way', async () => {
  const { jobId, imageId } = await record('facts');
  expect(await claimOne(database)).toEqual({
    id: jobId,
    kind: 'derive',
    imageId,
    tenantId: shop.id,
    original: { key: expect.stringContaining(hashOf('facts')) as string, contentHash: hashOf('facts') },
    sourceUrl: null,
    isFirstRun: true,
    leaseToken: 1,
    priority: 50,
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
  });
  const image = await makeImageQueries(database).find(openPrincipal, { id: imageId });
  expect(image?.status).toBe('processing');
});

test('many who claim at once never get the same job', async () => {
  for (let i = 0; i < 30; i++) await record(`crowd ${i}`);
  const claims = await Promise.all(Array.from({ length: 20 }, () => jobs.claimDue('derive', 2, 60)));
  const ids = claims.flat().map(({ id }) => id);
  expect(ids).toHaveLength(30);
  expect(new Set(ids).size).toBe(30);
});

test('a lease lasts as long as asked by the clock of the database, and renewing begins it anew', async () => {
  await record('lease');
  const job = await claimOne(database, 60);
  const left = () =>
    rowOf<{ seconds: number }>(
      database,
      `SELECT extract(epoch FROM lease_until - now())::float8 AS seconds FROM jobs WHERE id = ${job.id}`,
    );
  expect((await left()).seconds).toBeCloseTo(60, -1);
  expect(await jobs.renewLeases([job], 500)).toEqual(new Set([job]));
  expect((await left()).seconds).toBeGreaterThan(400);
});

test('a lease that was lost cannot be renewed', async () => {
  await record('kept');
  const kept = await claimOne(database);
  await record('lost');
  const lost = await claimOne(database);
  await jobs.handBack([lost]);
  expect(await jobs.renewLeases([kept, lost], 60)).toEqual(new Set([kept]));
  const successor = await claimOne(database);
  expect(successor.id).toBe(lost.id);
  expect(await jobs.renewLeases([kept, lost], 60)).toEqual(new Set([kept]));
});

test('a job that is handed back is due at once and has spent nothing', async () => {
  const { imageId } = await record('back');
  const job = await claimOne(database);
  await jobs.handBack([job]);
  const image = await makeImageQueries(database).find(openPrincipal, { id: imageId });
  expect(image?.status).toBe('pending');
  expect(await makeJobReportQueries(database).find(openPrincipal, job.id)).toMatchObject({
    state: 'pending',
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
    history: [],
  });
  expect(await claimOne(database)).toMatchObject({ id: job.id, leaseToken: 2 });
});

test('handing nothing back is fine', async () => {
  await expect(jobs.handBack([])).resolves.toBeUndefined();
});
