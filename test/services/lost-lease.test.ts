import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { selectRows } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const resources = await useTestResources();
const { database } = resources;

/** Uploads a picture and claims its job. */
async function uploadAndClaim(rig: Rig, mark?: 'slow' | 'endless') {
  const { image } = await rig.upload(await makeUniquePicture(mark), { mode: 'queued' });
  return { image, job: await claimOne(database) };
}

/** Returns resources whose decoders derive nothing until `open` is called. */
function makeGatedResources() {
  const gate = Promise.withResolvers<void>();
  const { decoders } = resources;
  const derive: typeof decoders.derive = async (request) => {
    await gate.promise;
    return decoders.derive(request);
  };
  return { gatedResources: { database, decoders: { ...decoders, derive } }, open: gate.resolve };
}

const selectAllRows = async () => ({
  jobs: await selectRows(database, 'SELECT * FROM jobs'),
  images: await selectRows(database, 'SELECT * FROM images'),
  renditions: await selectRows(database, 'SELECT * FROM renditions'),
});

test('writes nothing after the job’s lease has been taken over', async () => {
  // The lease is so long that no heartbeat is due during the job, so this worker does not detect the takeover.
  const { gatedResources, open } = makeGatedResources();
  const rig = await makeRig(gatedResources, { leaseSeconds: 3600 });
  const { image, job } = await uploadAndClaim(rig);
  const staleRun = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  const nextClaim = await claimOne(database);
  const rowsBefore = await selectAllRows();
  open();
  expect(await staleRun).toEqual({ state: 'dropped' });
  expect(await selectAllRows()).toEqual(rowsBefore);
  expect(rig.logger.messages('warn')).toEqual([
    `job ${job.id} (image ${image.id}) dropped: its lease was lost`,
  ]);
  expect(await rig.runJob(nextClaim)).toMatchObject({ state: 'completed' });
  expect((await rig.image(image.id))?.renditions).toHaveLength(2);
});

test('records no failure after the job’s lease has been taken over', async () => {
  const rig = await makeRig(resources, { leaseSeconds: 3600 });
  await rig.upload(await makeUniquePicture('crash'), { mode: 'queued' });
  const staleRun = rig.runJob(await claimOne(database));
  await rig.jobs.takeOverLostLeases(10, true);
  const rowsBefore = await selectAllRows();
  expect(await staleRun).toEqual({ state: 'dropped' });
  expect(await selectAllRows()).toEqual(rowsBefore);
});

test('stops decoding as soon as the lost lease is detected', async () => {
  const rig = await makeRig(resources, { leaseSeconds: 0.6 });
  const { image, job } = await uploadAndClaim(rig, 'endless');
  const staleRun = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  expect(await staleRun).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toEqual([
    `job ${job.id} (image ${image.id}) dropped: its lease was lost`,
  ]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('detects a lost lease when the same worker has claimed the job again', async () => {
  const { decoders } = resources;
  let isFirstRun = true;
  // The first run does not end on its own.
  const derive: typeof decoders.derive = async (request) => {
    if (!isFirstRun) return decoders.derive(request);
    isFirstRun = false;
    if (request.signal && !request.signal.aborted) await once(request.signal, 'abort');
    throw new Error('The first run was aborted.');
  };
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, { leaseSeconds: 0.6 });
  const { job } = await uploadAndClaim(rig);
  const staleRun = rig.runJob(job);
  await rig.jobs.takeOverLostLeases(10, true);
  const secondRun = rig.runJob(await claimOne(database, 60));
  expect(await staleRun).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')[0]).toMatch(/dropped: its lease was lost$/);
  expect(await secondRun).toMatchObject({ state: 'completed' });
});

test('renews the lease of a job that runs for longer than one lease', async () => {
  const { gatedResources, open } = makeGatedResources();
  const leaseSeconds = 1.2;
  const rig = await makeRig(gatedResources, { leaseSeconds });
  await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  const run = rig.runJob(await claimOne(database, leaseSeconds));
  await sleep(1_500);
  expect(await rig.jobs.takeOverLostLeases(10, false)).toEqual({ requeued: [], failed: 0 });
  open();
  expect(await run).toMatchObject({ state: 'completed' });
});

test('aborts a job that is handed back, makes it due without using up a retry, and wakes workers', async () => {
  const rig = await makeRig(resources);
  const wakes = countWakes(rig.queue);
  const { job } = await uploadAndClaim(rig, 'endless');
  const run = rig.runJob(job);
  wakes.count = 0;
  await rig.leases.handBack();
  expect(wakes.count).toBe(1);
  expect(await run).toEqual({ state: 'dropped' });
  expect(await claimOne(database)).toMatchObject({ id: job.id, retries: 0, crashes: 0, leaseLosses: 0 });
});

test('logs once when leases cannot be renewed, and once when they can be renewed again', async () => {
  const rig = await makeRig(resources, { leaseSeconds: 1.2 });
  const { job } = await uploadAndClaim(rig, 'slow');
  const run = rig.runJob(job);
  await database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  await expect.poll(() => rig.logger.messages()).toContain('failed to renew leases; retrying');
  await database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  await run;
  expect(rig.logger.messages().filter((line) => /renew/.test(line))).toEqual([
    'failed to renew leases; retrying',
    'renewing leases again',
  ]);
});

test('stops without handing back jobs if the database is unavailable', async () => {
  const rig = await makeRig(resources);
  const { job } = await uploadAndClaim(rig, 'slow');
  const run = rig.runJob(job);
  await database.runScript('ALTER TABLE jobs RENAME TO jobs_away');
  await rig.leases.handBack();
  await database.runScript('ALTER TABLE jobs_away RENAME TO jobs');
  expect(await run).toEqual({ state: 'dropped' });
  expect(rig.logger.messages('warn')).toContain(
    'failed to hand back jobs; other workers will take them over when their leases expire',
  );
});
