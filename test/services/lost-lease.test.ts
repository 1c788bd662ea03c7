import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { rowsOf } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { freshPicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useEngines } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const engines = await useEngines();
const { database } = engines;

/** A slow picture, and the job on it. */
async function claimSlow(rig: Rig) {
  const { image } = await rig.upload(await freshPicture('slow'), { mode: 'queued' });
  return { image, job: await claimOne(database) };
}

const everything = async () => ({
  jobs: await rowsOf(database, 'SELECT * FROM jobs'),
  images: await rowsOf(database, 'SELECT * FROM images'),
  renditions: await rowsOf(database, 'SELECT * FROM renditions'),
});

test('a worker that wakes up past its lease changes nothing: its successor has the job', async () => {
  // No beat comes before the work is done: this worker cannot know that its job was taken over.
  const rig = await makeRig(engines, { leaseSeconds: 3600 });
  const { image, job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.sweeping.takeOverLostLeases(10, true);
  const successor = await claimOne(database);
  const before = await everything();
  expect(await late).toEqual({ state: 'dropped' });
  expect(await everything()).toEqual(before);
  expect(rig.logger.messages('warn')).toEqual([`job ${job.id} (image ${image.id}) dropped: lease-lost`]);
  expect(await rig.runJob(successor)).toEqual({ state: 'completed' });
  expect((await rig.image(image.id))?.renditions).toHaveLength(2);
});

test('a worker that failed past its lease records nothing either', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 3600 });
  await rig.upload(await freshPicture('crash'), { mode: 'queued' });
  const late = rig.runJob(await claimOne(database));
  await rig.sweeping.takeOverLostLeases(10, true);
  const before = await everything();
  expect(await late).toEqual({ state: 'dropped' });
  expect(await everything()).toEqual(before);
});

test('a worker that learns of the loss stops its decoder at once', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 0.6 });
  const { image, job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.sweeping.takeOverLostLeases(10, true);
  expect(await late).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toEqual([
    `job ${job.id} (image ${image.id}) dropped: its lease was lost`,
  ]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('a worker learns of the loss also when it has the same job in hand a second time', async () => {
  const rig = await makeRig(engines, { leaseSeconds: 0.6 });
  const { job } = await claimSlow(rig);
  const late = rig.runJob(job);
  await rig.sweeping.takeOverLostLeases(10, true);
  const again = rig.runJob(await claimOne(database, 60));
  expect(await late).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')[0]).toMatch(/dropped: its lease was lost$/);
  expect(await again).toEqual({ state: 'completed' });
});

test('a worker at work keeps its lease, however often it would have run out', async () => {
  const released = Promise.withResolvers<void>();
  const { decoders } = engines;
  const derive: typeof decoders.derive = async (request) => {
    await released.promise;
    return decoders.derive(request);
  };
  const leaseSeconds = 1.2;
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, { leaseSeconds });
  await rig.upload(await freshPicture(), { mode: 'queued' });
  const running = rig.runJob(await claimOne(database, leaseSeconds));
  await sleep(1_500);
  expect(await rig.sweeping.takeOverLostLeases(10, false)).toEqual({ again: [], givenUp: 0 });
  released.resolve();
  expect(await running).toEqual({ state: 'completed' });
});

test('work that is handed back ends at once, is due for others with nothing spent, and wakes them', async () => {
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

test('leases that cannot be renewed for a while are told of twice: at the beginning and at the end', async () => {
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

test('a stop does not fail when the database is away: leases end by themselves', async () => {
  const rig = await makeRig(engines);
  const { job } = await claimSlow(rig);
  const running = rig.runJob(job);
  await database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  await rig.leases.handBack();
  await database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  expect(await running).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toContain(
    'jobs could not be handed back; others take them when their leases end',
  );
});
