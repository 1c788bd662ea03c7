import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { JobKind } from '../../src/model/job.ts';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { makeWorker } from '../../src/worker/worker.ts';
import { selectRow, selectRows } from '../support/inner/database.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const queuedMode = { mode: 'queued' } as const;
const importLimits = { perHost: 0, perTenant: 0 };

/** Creates a worker for a rig, and stops it after the test. */
function createWorker(rig: Rig, capacity = 2, kind: JobKind = 'derive') {
  const worker = makeWorker({ ...rig, kind, capacity, leaseSeconds: 60, importLimits });
  onTestFinished(() => worker.stop());
  return worker;
}

const countJobs = async (state: string) =>
  (
    await selectRow<{ count: number }>(
      resources.database,
      `SELECT count(*) FROM jobs WHERE state = '${state}'`,
    )
  ).count;

/** Queues pictures that each take a second to decode. */
async function queueSlowPictures(rig: Rig, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await rig.upload(await makeUniquePicture('slow'), queuedMode);
}

test('runs all due jobs at startup', async () => {
  const rig = await makeRig(resources);
  for (let i = 0; i < 7; i++) await rig.upload(await makeUniquePicture(), queuedMode);
  createWorker(rig).start();
  await expect.poll(() => countJobs('completed')).toBe(7);
  expect(rig.logger.messages().filter((line) => line.includes('completed in'))).toHaveLength(7);
});

test('claims only jobs of its own kind', async () => {
  const rig = await makeRig(resources);
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', await makeUniquePicture());
  const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  await rig.upload(await makeUniquePicture(), queuedMode);
  createWorker(rig).start();
  await expect.poll(() => countJobs('completed')).toBe(1);
  await sleep(1_200);
  expect(await rig.image(image.id)).toMatchObject({ status: 'pending' });
  createWorker(rig, 2, 'import').start();
  await expect.poll(async () => (await rig.image(image.id))?.status).toBe('completed');
});

test('runs no more jobs at once than its capacity allows', async () => {
  const rig = await makeRig(resources);
  await queueSlowPictures(rig, 5);
  createWorker(rig, 2).start();
  let peakCount = 0;
  while ((await countJobs('completed')) < 5) {
    peakCount = Math.max(peakCount, await countJobs('processing'));
    await sleep(20);
  }
  expect(peakCount).toBe(2);
});

test('claims jobs on a wake-up without waiting for the next poll', async () => {
  const rig = await makeRig(resources);
  createWorker(rig).start();
  await sleep(50);
  for (let count = 0; count < 3; count++) {
    const { image } = await rig.upload(await makeUniquePicture(), queuedMode);
    await rig.waitForImage(image.id, 60_000);
  }
  // Each job is created just after a poll, so without a wake-up the job would wait for about a second.
  const { minWaitMs } = await selectRow<{ minWaitMs: number }>(
    resources.database,
    'SELECT min(1000 * extract(epoch FROM started_at - created_at))::float8 AS "minWaitMs" FROM jobs',
  );
  expect(minWaitMs).toBeLessThan(500);
});

test('finds a job by polling if there was no wake-up', async () => {
  const rig = await makeRig(resources);
  const otherRig = await makeRig(resources);
  createWorker(rig).start();
  await sleep(50);
  // Each rig has its own in-process queue, so the worker is not woken.
  await otherRig.upload(await makeUniquePicture(), queuedMode);
  await expect.poll(() => countJobs('pending')).toBe(0);
});

test('waits for running jobs when stopped, and claims no more jobs', async () => {
  const rig = await makeRig(resources);
  await queueSlowPictures(rig, 4);
  const worker = createWorker(rig, 2);
  worker.start();
  await expect.poll(() => countJobs('processing')).toBe(2);
  await worker.stop();
  expect(
    await selectRows(resources.database, 'SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state'),
  ).toEqual([
    { state: 'completed', count: 2 },
    { state: 'pending', count: 2 },
  ]);
  rig.queue.wake([{ id: 1, kind: 'derive' }]);
  await sleep(1_200);
  expect(await countJobs('pending')).toBe(2);
});

test('leaves no job running if the worker is stopped during a claim', async () => {
  const rig = await makeRig(resources);
  await queueSlowPictures(rig, 2);
  const worker = createWorker(rig, 2);
  worker.start();
  await worker.stop();
  expect(await countJobs('processing')).toBe(0);
});

test('claims jobs again after a database outage, and logs the outage and the recovery', async () => {
  const rig = await makeRig(resources);
  await resources.database.runScript('ALTER TABLE jobs RENAME TO jobs_hidden');
  createWorker(rig).start();
  await sleep(2_500);
  expect(rig.logger.messages()).toEqual(['failed to claim jobs; retrying']);
  await resources.database.runScript('ALTER TABLE jobs_hidden RENAME TO jobs');
  await expect.poll(() => rig.logger.messages('info')).toEqual(['claiming jobs again']);
  await rig.upload(await makeUniquePicture(), queuedMode);
  await expect.poll(() => countJobs('completed')).toBe(1);
});

test('runs each job only once with two workers', async () => {
  const [firstRig, secondRig] = [await makeRig(resources), await makeRig(resources)];
  const rigWithSharedStorage = { ...secondRig, storage: firstRig.storage, runJob: firstRig.runJob };
  for (let i = 0; i < 10; i++) await firstRig.upload(await makeUniquePicture(), queuedMode);
  createWorker(firstRig, 3).start();
  createWorker(rigWithSharedStorage, 3).start();
  await expect.poll(() => countJobs('completed')).toBe(10);
  const tokens = await selectRows<{ lease_token: number }>(
    resources.database,
    'SELECT lease_token FROM jobs',
  );
  expect(tokens.map((row) => row.lease_token)).toEqual(Array(10).fill(1));
});

/**
 * Starts a worker that is woken only when the test calls `wake`. The promise that `wake` returns resolves after the
 * worker has claimed jobs.
 */
function startManuallyWokenWorker(rig: Rig, capacity = 1) {
  let listener = () => Promise.resolve();
  const queue: Pick<WorkQueue, 'onWake'> = {
    onWake(_kind, wake) {
      listener = wake;
      return () => undefined;
    },
  };
  const worker = makeWorker({ ...rig, queue, kind: 'derive', capacity, leaseSeconds: 60, importLimits });
  onTestFinished(() => worker.stop());
  worker.start();
  return { worker, wake: () => listener() };
}

const isPending = async (promise: Promise<void>): Promise<boolean> =>
  Promise.race([promise.then(() => false), sleep(20).then(() => true)]);

test('resolves a wake-up after the next claim, which waits for free capacity', async () => {
  const rig = await makeRig(resources);
  const { wake } = startManuallyWokenWorker(rig);
  await wake();
  await queueSlowPictures(rig, 1);
  await wake();
  expect(await countJobs('processing')).toBe(1);
  await rig.upload(await makeUniquePicture(), queuedMode);
  const delayedWake = wake();
  expect(await isPending(delayedWake)).toBe(true);
  await delayedWake;
  expect(await countJobs('completed')).toBe(1);
  expect(await countJobs('pending')).toBe(0);
});

test('claims jobs again after a wake-up during a claim, and then resolves the wake-up', async () => {
  const rig = await makeRig(resources);
  const { wake } = startManuallyWokenWorker(rig);
  const firstWake = wake();
  await rig.upload(await makeUniquePicture(), queuedMode);
  await Promise.all([firstWake, wake(), wake()]);
  expect(await countJobs('pending')).toBe(0);
});

test('does not resolve wake-ups while the database is unavailable, but resolves them when the worker stops', async () => {
  const rig = await makeRig(resources);
  const { worker, wake } = startManuallyWokenWorker(rig);
  await wake();
  await resources.database.runScript('ALTER TABLE jobs RENAME TO jobs_hidden');
  const pendingWake = wake();
  expect(await isPending(pendingWake)).toBe(true);
  await worker.stop();
  await pendingWake;
  await wake();
  await resources.database.runScript('ALTER TABLE jobs_hidden RENAME TO jobs');
});
