import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rowsOf } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useEngines } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const engines = await useEngines();
const { database } = engines;

/** Uploads a slow picture and claims its job. */
async function claimSlow(rig: Rig) {
  const { image } = await rig.upload(await uniquePicture('slow'), { mode: 'queued' });
  return { image, job: await claimOne(database) };
}

const everything = async () => ({
  jobs: await rowsOf(database, 'SELECT * FROM jobs'),
  images: await rowsOf(database, 'SELECT * FROM images'),
  renditions: await rowsOf(database, 'SELECT * FROM renditions'),
});

test('writes nothing after its lease was taken over', async () => {
  // There is no heartbeat during the job, so this worker does not notice the takeover.
  const rig = await makeRig(engines, { leaseSeconds: 3600 });
  const { image, job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  const successor = await claimOne(database);
  const before = await everything();
  expect(await late).toEqual({ state: 'dropped' });
  expect(await everything()).toEqual(before);
  expect(rig.logger.messages('warn')).toEqual([`job ${job.id} (image ${image.id}) dropped: lease-lost`]);
  expect(await rig.runJob(successor)).toMatchObject({ state: 'completed' });
  expect((await rig.image(image.id))?.renditions).toHaveLength(2);
});

test('records no failure after its lease was taken over', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 3600 });
  await rig.upload(await uniquePicture('crash'), { mode: 'queued' });
  const late = rig.runJob(await claimOne(database));
  await rig.jobs.takeOverLostLeases(10, true);
  const before = await everything();
  expect(await late).toEqual({ state: 'dropped' });
  expect(await everything()).toEqual(before);
});

test('stops decoding as soon as it notices the lost lease', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 0.6 });
  const { image, job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  expect(await late).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toEqual([
    `job ${job.id} (image ${image.id}) dropped: its lease was lost`,
  ]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('notices a lost lease although the same worker has claimed the job again', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 0.6 });
  const { job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  const again = rig.runJob(await claimOne(database, 60));
  expect(await late).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')[0]).toMatch(/dropped: its lease was lost$/);
  expect(await again).toMatchObject({ state: 'completed' });
});

test('renews the lease of a job that takes longer', async () => {
  const released = Promise.withResolvers<void>();
  const { decoders } = engines;
  const derive: typeof decoders.derive = async (request) => {
    await released.promise;
    return decoders.derive(request);
  };
  const leaseSeconds = 1.2;
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, { leaseSeconds });
  await rig.upload(await uniquePicture(), { mode: 'queued' });
  const running = rig.runJob(await claimOne(database, leaseSeconds));
  await sleep(1_500);
  expect(await rig.jobs.takeOverLostLeases(10, false)).toEqual({ requeued: [], failed: 0 });
  released.resolve();
  expect(await running).toMatchObject({ state: 'completed' });
});

test('aborts a job that is handed back, makes it due without spending retries, and wakes workers', async () => {
  const rig = await makeRig(engines);
  const woken = countWakes(rig.queue);
  const { job } = await claimSlow(rig);
  const running = rig.runJob(job);
  woken.count = 0;
  await rig.leases.handBack();
  expect(woken.count).toBe(1);
  expect(await running).toEqual({ state: 'dropped' });
  expect(await claimOne(database)).toMatchObject({ id: job.id, retries: 0, crashes: 0, leaseLosses: 0 });
});

test('logs once when leases cannot be renewed, and once when they can again', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 1.2 });
  const { job } = await claimSlow(rig);
  const running = rig.runJob(job);
  await database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  await expect.poll(() => rig.logger.messages()).toContain('leases could not be renewed; trying again');
  await database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  await running;
  expect(rig.logger.messages().filter((line) => line.startsWith('leases'))).toEqual([
    'leases could not be renewed; trying again',
    'leases are renewed again',
  ]);
});

test('stops although the database is unavailable, and leaves the leases to expire', async () => {
  const rig = await makeRig(engines);
  const { job } = await claimSlow(rig);
  const running = rig.runJob(job);
  await database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  await rig.leases.handBack();
  await database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  expect(await running).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toContain(
    'jobs could not be handed back; other workers take them over when their leases expire',
  );
});
