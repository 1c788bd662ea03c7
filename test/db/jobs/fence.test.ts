import { beforeEach, expect, test } from 'vitest';
import { makeJobQueries } from '../../../src/db/jobs/job-queries.ts';
import { makeImageQueries } from '../../../src/db/images/images.ts';
import { makeJobReportQueries } from '../../../src/db/jobs/job-reports.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { ClaimedJob } from '../../../src/model/job.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeFailedAttempt, claimOne, recordPending } from '../../support/inner/jobs.ts';
import { makeDerivedFacts, makeRendition } from '../../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const { complete } = makeJobQueries(database);
const images = makeImageQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const facts = makeDerivedFacts('vase');
const thumb = makeRendition(shop.id, 'vase', 'thumb');
const finalFailure = { state: 'failed' } as const;
const delayedRetry = { state: 'pending', delaySeconds: 2, counter: 'retries' } as const;

let staleJob: ClaimedJob;
let currentJob: ClaimedJob;

/** `staleJob` has lost its lease, and `currentJob` is a newer claim of the same job. */
beforeEach(async () => {
  await recordPending(database, shop.id, 'vase');
  staleJob = await claimOne(database);
  await makeJobQueries(database).takeOverLostLeases(10, true);
  currentJob = await claimOne(database);
});

const selectAllRows = async () => ({
  jobs: await selectRows(database, 'SELECT * FROM jobs'),
  images: await selectRows(database, 'SELECT * FROM images'),
  renditions: await selectRows(database, 'SELECT * FROM renditions'),
  fingerprints: await selectRows(database, 'SELECT * FROM fingerprints'),
  embeddings: await selectRows(database, 'SELECT * FROM embeddings'),
});

test('does not complete the job after the lease has been taken over', async () => {
  const rowsBefore = await selectAllRows();
  expect(await complete(staleJob, [thumb], facts)).toBeUndefined();
  expect(await selectAllRows()).toEqual(rowsBefore);
  expect(rowsBefore.renditions).toEqual([]);
});

test.each([
  ['a final failure', finalFailure],
  ['a failure to be retried', delayedRetry],
])('does not record %s after the lease has been taken over', async (_name, next) => {
  const rowsBefore = await selectAllRows();
  expect(await jobs.recordFailure(staleJob, makeFailedAttempt('permanent'), next)).toBe(false);
  expect(await selectAllRows()).toEqual(rowsBefore);
});

test('does not hand back the job after the lease has been taken over', async () => {
  const rowsBefore = await selectAllRows();
  await jobs.handBack([staleJob]);
  expect(await selectAllRows()).toEqual(rowsBefore);
});

test('changes nothing after the job has been handed back', async () => {
  await jobs.handBack([currentJob]);
  const rowsBefore = await selectAllRows();
  expect(await complete(currentJob, [thumb], facts)).toBeUndefined();
  expect(await jobs.recordFailure(currentJob, makeFailedAttempt('permanent'), finalFailure)).toBe(false);
  expect(await jobs.renewLeases([currentJob], 60)).toEqual(new Set());
  expect(await selectAllRows()).toEqual(rowsBefore);
});

test('stores the renditions and completes the image and the job together', async () => {
  const completedImage = await complete(
    currentJob,
    [makeRendition(shop.id, 'vase', 'card', 400), makeRendition(shop.id, 'vase', 'thumb', 100)],
    facts,
  );
  expect(completedImage).toMatchObject({
    id: currentJob.imageId,
    status: 'completed',
    tenant: 'shop',
    error: null,
  });
  expect(completedImage?.processedAt).toBeInstanceOf(Date);
  expect(completedImage?.renditions.map(({ preset, bytes }) => [preset, bytes])).toEqual([
    ['card', 400],
    ['thumb', 100],
  ]);
  expect(await images.find(unrestrictedPrincipal, { id: currentJob.imageId })).toEqual(completedImage);
  expect(await makeJobReportQueries(database).find(unrestrictedPrincipal, currentJob.id)).toMatchObject({
    state: 'completed',
    leaseLosses: 1,
  });
});

test('completes a job only once', async () => {
  await complete(currentJob, [thumb], facts);
  const rowsBefore = await selectAllRows();
  expect(await complete(currentJob, [makeRendition(shop.id, 'vase', 'zoom')], facts)).toBeUndefined();
  expect(await jobs.recordFailure(currentJob, makeFailedAttempt('crash'), finalFailure)).toBe(false);
  expect(await selectAllRows()).toEqual(rowsBefore);
});

test('replaces an existing rendition with the same preset', async () => {
  await complete(currentJob, [thumb], facts);
  await database.runScript("UPDATE jobs SET state = 'pending'; UPDATE images SET status = 'pending'");
  const completedImage = await complete(
    await claimOne(database),
    [{ ...thumb, bytes: 77, recipe: 'newer' }],
    facts,
  );
  expect(completedImage?.renditions).toMatchObject([{ preset: 'thumb', bytes: 77, recipe: 'newer' }]);
});
