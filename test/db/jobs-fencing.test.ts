import { beforeEach, expect, test } from 'vitest';
import { makeJobQueries } from '../../src/db/jobs/job-queries.ts';
import { makeImageQueries } from '../../src/db/images/images.ts';
import { makeJobReportQueries } from '../../src/db/jobs/job-reports.ts';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import type { ClaimedJob } from '../../src/model/job.ts';
import { openPrincipal } from '../../src/model/principal.ts';
import { rowsOf, useDatabase } from '../support/inner/database.ts';
import { attemptOf, claimOne, recordPending } from '../support/inner/jobs.ts';
import { derivedFactsOf, renditionOf } from '../support/inner/records.ts';

const database = await useDatabase();
const jobs = makeJobQueries(database);
const { complete } = makeJobQueries(database);
const images = makeImageQueries(database);
const shop = await makeTenantQueries(database).ensure('shop');
const facts = derivedFactsOf('vase');
const thumb = renditionOf(shop.id, 'vase', 'thumb');
const give = { state: 'failed' } as const;
const retry = { state: 'pending', delaySeconds: 2, spend: 'retries' } as const;

let late: ClaimedJob;
let successor: ClaimedJob;

/** `late` lost its lease, and `successor` holds the same job. */
beforeEach(async () => {
  await recordPending(database, shop.id, 'vase');
  late = await claimOne(database);
  await makeJobQueries(database).takeOverLostLeases(10, true);
  successor = await claimOne(database);
});

const everything = async () => ({
  jobs: await rowsOf(database, 'SELECT * FROM jobs'),
  images: await rowsOf(database, 'SELECT * FROM images'),
  renditions: await rowsOf(database, 'SELECT * FROM renditions'),
  fingerprints: await rowsOf(database, 'SELECT * FROM fingerprints'),
  embeddings: await rowsOf(database, 'SELECT * FROM embeddings'),
});

test('a holder whose lease was taken over completes nothing, and nothing of it becomes visible', async () => {
  const before = await everything();
  expect(await complete(late, [thumb], facts)).toBeUndefined();
  expect(await everything()).toEqual(before);
  expect(before.renditions).toEqual([]);
});

test.each([
  ['a final failure', give],
  ['a failure to be retried', retry],
])('a holder whose lease was taken over cannot record %s', async (_name, next) => {
  const before = await everything();
  expect(await jobs.recordFailure(late, attemptOf('permanent'), next)).toBe(false);
  expect(await everything()).toEqual(before);
});

test('a holder whose lease was taken over cannot hand the job back', async () => {
  const before = await everything();
  await jobs.handBack([late]);
  expect(await everything()).toEqual(before);
});

test('a holder whose job waits for its next holder changes nothing either', async () => {
  await jobs.handBack([successor]);
  const before = await everything();
  expect(await complete(successor, [thumb], facts)).toBeUndefined();
  expect(await jobs.recordFailure(successor, attemptOf('permanent'), give)).toBe(false);
  expect(await jobs.renewLeases([successor], 60)).toEqual(new Set());
  expect(await everything()).toEqual(before);
});

test('the successor completes: renditions, image and job become visible together', async () => {
  const answered = await complete(
    successor,
    [renditionOf(shop.id, 'vase', 'card', 400), renditionOf(shop.id, 'vase', 'thumb', 100)],
    facts,
  );
  expect(answered).toMatchObject({ id: successor.imageId, status: 'completed', tenant: 'shop', error: null });
  expect(answered?.processedAt).toBeInstanceOf(Date);
  expect(answered?.renditions.map(({ preset, bytes }) => [preset, bytes])).toEqual([
    ['card', 400],
    ['thumb', 100],
  ]);
  expect(await images.find(openPrincipal, { id: successor.imageId })).toEqual(answered);
  expect(await makeJobReportQueries(database).find(openPrincipal, successor.id)).toMatchObject({
    state: 'completed',
    leaseLosses: 1,
  });
});

test('a job is completed once only', async () => {
  await complete(successor, [thumb], facts);
  const before = await everything();
  expect(await complete(successor, [renditionOf(shop.id, 'vase', 'zoom')], facts)).toBeUndefined();
  expect(await jobs.recordFailure(successor, attemptOf('crash'), give)).toBe(false);
  expect(await everything()).toEqual(before);
});

test('making a rendition again replaces the one of the same preset', async () => {
  await complete(successor, [thumb], facts);
  await database.runScript("UPDATE jobs SET state = 'pending'; UPDATE images SET status = 'pending'");
  const again = await complete(await claimOne(database), [{ ...thumb, bytes: 77, recipe: 'newer' }], facts);
  expect(again?.renditions).toMatchObject([{ preset: 'thumb', bytes: 77, recipe: 'newer' }]);
});
