import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../support/inner/database.ts';
import { closeGate } from '../support/inner/gate.ts';
import { makeFailedAttempt } from '../support/inner/jobs.ts';
import { makeUpload } from '../support/inner/records.ts';

/** Tests races between queries that create a job for the same image. */

const database = await useDatabase();
const shop = await makeCatalog(database, 1).tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { jobs } = catalog;

const listActiveJobs = (imageId: number) =>
  selectRows(
    database,
    `SELECT id FROM jobs WHERE image_id = ${imageId} AND state IN ('pending', 'processing') ORDER BY id`,
  );

/** Blocks the transaction that inserts the first job until the second query is blocked or has ended. */
async function runRace(
  runFirst: () => Promise<unknown>,
  runSecond: () => Promise<unknown>,
): Promise<unknown[]> {
  const gate = await closeGate(database, 'AFTER INSERT ON jobs', 'true');
  const firstQuery = runFirst();
  await gate.untilBlocked(1);
  const secondQuery = runSecond();
  await gate.untilBlocked(2, secondQuery);
  await gate.open();
  return Promise.all([firstQuery, secondQuery]);
}

test('creates one job when a failed image is uploaded again while its job is retried', async () => {
  const job = await catalog.upload('vase');
  await jobs.recordFailure(job, makeFailedAttempt('permanent'), { state: 'failed' });
  await runRace(
    () => jobs.enqueueUpload(makeUpload(shop.id, 'vase')),
    () => jobs.retryAll(unrestrictedPrincipal, {}),
  );
  expect(await listActiveJobs(job.imageId)).toHaveLength(1);
});

test('creates one job when an image is requeued twice concurrently', async () => {
  const imageId = await catalog.add('lamp');
  const requeue = () => jobs.requeue(imageId, 50);
  const results = await runRace(requeue, requeue);
  expect(await listActiveJobs(imageId)).toHaveLength(1);
  expect(results.filter((job) => job !== undefined)).toHaveLength(1);
});
