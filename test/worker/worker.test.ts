import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { JobKind } from '../../src/model/job.ts';
import { openPrincipal } from '../../src/model/principal.ts';
import type { WorkQueue } from '../../src/queue/queue.ts';
import { makeWorker } from '../../src/worker/worker.ts';
import { rowOf, rowsOf } from '../support/inner/database.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useEngines } from '../support/inner/rig.ts';

const engines = await useEngines();
const queued = { mode: 'queued' } as const;

/** A worker over a rig, stopped after the test. */
function workerOf(rig: Rig, capacity = 2, kind: JobKind = 'derive') {
  const worker = makeWorker({ ...rig, kind, capacity, leaseSeconds: 60 });
  onTestFinished(() => worker.stop());
  return worker;
}

const inState = async (state: string) =>
  (await rowOf<{ count: number }>(engines.database, `SELECT count(*) FROM jobs WHERE state = '${state}'`))
    .count;

async function uploadSlow(rig: Rig, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await rig.upload(await uniquePicture('slow'), queued);
}

test('runs all due jobs at the start', async () => {
  const rig = await makeRig(engines);
  for (let i = 0; i < 7; i++) await rig.upload(await uniquePicture(), queued);
  workerOf(rig).start();
  await expect.poll(() => inState('completed')).toBe(7);
  expect(rig.logger.messages().filter((line) => line.includes('completed in'))).toHaveLength(7);
});

test('claims only jobs of its own kind', async () => {
  const rig = await makeRig(engines);
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', await uniquePicture());
  const { image } = await rig.ingestUrls.one(openPrincipal, { url, tenantName: 'shop' });
  await rig.upload(await uniquePicture(), queued);
  workerOf(rig).start();
  await expect.poll(() => inState('completed')).toBe(1);
  await sleep(1_200);
  expect(await rig.image(image.id)).toMatchObject({ status: 'pending' });
  workerOf(rig, 2, 'import').start();
  await expect.poll(async () => (await rig.image(image.id))?.status).toBe('completed');
});

test('runs no more jobs at once than its capacity', async () => {
  const rig = await makeRig(engines);
  await uploadSlow(rig, 5);
  workerOf(rig, 2).start();
  let most = 0;
  while ((await inState('completed')) < 5) {
    most = Math.max(most, await inState('processing'));
    await sleep(20);
  }
  expect(most).toBe(2);
});

test('claims at once on a wake-up, before the next poll', async () => {
  const rig = await makeRig(engines);
  workerOf(rig).start();
  await sleep(50);
  for (let count = 0; count < 3; count++) {
    const { image } = await rig.upload(await uniquePicture(), queued);
    await rig.waitForImage(image.id, 60_000);
  }
  // Each job comes just after a look, so that without wake-ups it would wait for about a second.
  const { best } = await rowOf<{ best: number }>(
    engines.database,
    'SELECT min(1000 * extract(epoch FROM started_at - created_at))::float8 AS best FROM jobs',
  );
  expect(best).toBeLessThan(500);
});

test('finds a job by polling if there was no wake-up', async () => {
  const rig = await makeRig(engines);
  const other = await makeRig(engines);
  workerOf(rig).start();
  await sleep(50);
  // The queue in this process does not receive wake-ups of another one.
  await other.upload(await uniquePicture(), queued);
  await expect.poll(() => inState('pending')).toBe(0);
});

test('waits for running jobs and claims no more when it stops', async () => {
  const rig = await makeRig(engines);
  await uploadSlow(rig, 4);
  const worker = workerOf(rig, 2);
  worker.start();
  await expect.poll(() => inState('processing')).toBe(2);
  await worker.stop();
  expect(
    await rowsOf(engines.database, 'SELECT state, count(*) FROM jobs GROUP BY state ORDER BY state'),
  ).toEqual([
    { state: 'completed', count: 2 },
    { state: 'pending', count: 2 },
  ]);
  rig.queue.wake([{ id: 1, kind: 'derive' }]);
  await sleep(1_200);
  expect(await inState('pending')).toBe(2);
});

test('leaves no job running when it stops during a claim', async () => {
  const rig = await makeRig(engines);
  await uploadSlow(rig, 2);
  const worker = workerOf(rig, 2);
  worker.start();
  await worker.stop();
  expect(await inState('processing')).toBe(0);
});

test('continues after the database was unavailable, and logs two lines', async () => {
  const rig = await makeRig(engines);
  await engines.database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  workerOf(rig).start();
  await sleep(2_500);
  expect(rig.logger.messages()).toEqual(['jobs could not be claimed; trying again']);
  await engines.database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  await expect.poll(() => rig.logger.messages('info')).toEqual(['jobs are claimed again']);
  await rig.upload(await uniquePicture(), queued);
  await expect.poll(() => inState('completed')).toBe(1);
});

test('runs each job once with two workers', async () => {
  const [one, two] = [await makeRig(engines), await makeRig(engines)];
  const shared = { ...two, storage: one.storage, runJob: one.runJob };
  for (let i = 0; i < 10; i++) await one.upload(await uniquePicture(), queued);
  workerOf(one, 3).start();
  workerOf(shared, 3).start();
  await expect.poll(() => inState('completed')).toBe(10);
  const tokens = await rowsOf<{ lease_token: number }>(engines.database, 'SELECT lease_token FROM jobs');
  expect(tokens.map((row) => row.lease_token)).toEqual(Array(10).fill(1));
});

/** A worker that the test wakes up itself. */
function wokenByHand(rig: Rig, capacity = 1) {
  let look = () => Promise.resolve();
  const queue: Pick<WorkQueue, 'onWake'> = {
    onWake(_kind, wake) {
      look = wake;
      return () => undefined;
    },
  };
  const worker = makeWorker({ ...rig, queue, kind: 'derive', capacity, leaseSeconds: 60 });
  onTestFinished(() => worker.stop());
  worker.start();
  return { worker, look: () => look() };
}

const isPending = async (promise: Promise<void>): Promise<boolean> =>
  Promise.race([promise.then(() => false), sleep(20).then(() => true)]);

test('resolves a wake-up after a claim, and not before there is free capacity', async () => {
  const rig = await makeRig(engines);
  const { look } = wokenByHand(rig);
  await look();
  await uploadSlow(rig, 1);
  await look();
  expect(await inState('processing')).toBe(1);
  await rig.upload(await uniquePicture(), queued);
  const full = look();
  expect(await isPending(full)).toBe(true);
  await full;
  expect(await inState('completed')).toBe(1);
  expect(await inState('pending')).toBe(0);
});

test('resolves wake-ups that arrive during a claim after a later one', async () => {
  const rig = await makeRig(engines);
  const { look } = wokenByHand(rig);
  const first = look();
  await rig.upload(await uniquePicture(), queued);
  await Promise.all([first, look(), look()]);
  expect(await inState('pending')).toBe(0);
});

test('holds wake-ups while the database is unavailable, and resolves them when it stops', async () => {
  const rig = await makeRig(engines);
  const { worker, look } = wokenByHand(rig);
  await look();
  await engines.database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  const waiting = look();
  expect(await isPending(waiting)).toBe(true);
  await worker.stop();
  await waiting;
  await look();
  await engines.database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
});
