import { readdir, rename, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { recipeHash } from '../../src/imaging/renditions/recipe.ts';
import { selectRow, selectRows } from '../support/inner/database.ts';
import { claimOne, makeDue } from '../support/inner/jobs.ts';
import { makeTruncatedPicture, makeUniquePicture } from '../support/inner/pictures.ts';
import { sha256Hex } from '../support/inner/records.ts';
import { makeRig, presets, useTestResources } from '../support/inner/rig.ts';
import { listedVariant } from '../../src/model/preset.ts';

const resources = await useTestResources();
const { database } = resources;
const queuedMode = { mode: 'queued' } as const;

test('records the renditions, stores the files and logs the completed job', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture();
  const { image, jobId } = await rig.upload(bytes, queuedMode);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'completed' });
  const completedImage = await rig.image(image.id);
  expect(completedImage).toMatchObject({ status: 'completed', error: null, contentHash: sha256Hex(bytes) });
  const sizes = completedImage?.renditions.map(({ preset, width, height }) => `${preset} ${width}×${height}`);
  expect(sizes).toEqual(['thumb 20×15', 'card 40×30']);
  for (const rendition of completedImage?.renditions ?? []) {
    const file = await rig.storage.readAll(rendition.storageKey);
    expect(rendition).toMatchObject({ bytes: file.length, contentHash: sha256Hex(file), quality: 85 });
    expect(rendition.recipe).toBe(
      recipeHash(listedVariant(presets.find(({ name }) => name === rendition.preset)!), null),
    );
  }
  expect(rig.logger.messages()).toEqual([
    expect.stringMatching(`^job ${jobId} \\(image ${image.id}\\) completed in \\d+ ms$`),
  ]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('fails permanently for an undecodable picture, with a message for users', async () => {
  const rig = await makeRig(resources);
  const { image, jobId } = await rig.upload(await makeTruncatedPicture(), queuedMode);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  const failedImage = await rig.image(image.id);
  expect(failedImage).toMatchObject({ status: 'failed', errorCode: 'picture_cut', renditions: [] });
  expect(failedImage?.error).toBe('The JPEG image is truncated: the file ends too early.');
  expect(await rig.report(jobId!)).toMatchObject({
    state: 'failed',
    retries: 0,
    failureClass: 'permanent',
    history: [{ stage: 'decode', code: 'picture_cut', error: failedImage?.error }],
  });
  expect(rig.logger.messages('warn')).toEqual([
    `job ${jobId} (image ${image.id}) failed permanently: ${failedImage?.error}`,
  ]);
});

test('retries after 2, 4 and 8 s while storage is failing, and then gives up', async () => {
  const rig = await makeRig(resources);
  const { image, jobId } = await rig.upload(await makeUniquePicture(), queuedMode);
  await writeFile(rig.filePath('renditions'), 'a file instead of the folder');
  for (const delaySeconds of [2, 4, 8]) {
    const job = await claimOne(database);
    expect(await rig.runJob(job)).toMatchObject({ state: 'retrying', delaySeconds });
    const { delay } = await selectRow<{ delay: number }>(
      database,
      `SELECT extract(epoch FROM run_at - (history->-1->>'at')::timestamptz)::float8 AS delay FROM jobs`,
    );
    expect(delay).toBeCloseTo(delaySeconds, 5);
    expect(await rig.image(image.id)).toMatchObject({ status: 'pending', error: null });
    expect(await rig.jobs.claimDue('derive', 1, 60)).toEqual([]);
    await makeDue(database, jobId!);
  }
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  expect(await rig.image(image.id)).toMatchObject({ status: 'failed', errorCode: 'storage_failed' });
  const subject = `job ${jobId} (image ${image.id}) failed`;
  const reason = 'A storage operation failed (ENOTDIR).';
  expect(rig.logger.messages()).toEqual([
    `${subject} (retry 1 of 3 in 2 s): ${reason}`,
    `${subject} (retry 2 of 3 in 4 s): ${reason}`,
    `${subject} (retry 3 of 3 in 8 s): ${reason}`,
    `${subject} permanently after 3 retries: ${reason}`,
  ]);
  const history = (await rig.report(jobId!))?.history;
  expect(history?.map(({ stage, failureClass }) => `${stage} ${failureClass}`)).toEqual(
    Array(4).fill('store transient'),
  );
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('wakes a worker for the retry, and completes the job after storage works again', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture(), queuedMode);
  await writeFile(rig.filePath('renditions'), 'a file instead of the folder');
  const workerWoken = Promise.withResolvers<void>();
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'retrying' });
  const startedAt = performance.now();
  rig.queue.onWake('derive', () => Promise.resolve(workerWoken.resolve()));
  await rm(rig.filePath('renditions'));
  await workerWoken.promise;
  expect(performance.now() - startedAt).toBeGreaterThan(1_800);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'completed' });
  expect(await rig.image(image.id)).toMatchObject({ status: 'completed', error: null, errorCode: null });
});

test('marks an image with a missing original as damaged and failed, and keeps its row', async () => {
  const rig = await makeRig(resources);
  const { image, jobId } = await rig.upload(await makeUniquePicture(), queuedMode);
  await rename(rig.filePath('originals'), rig.filePath('moved-away'));
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  const failedImage = await rig.image(image.id);
  expect(failedImage).toMatchObject({ status: 'failed', errorCode: 'original_missing' });
  expect(failedImage?.damagedAt).toBeInstanceOf(Date);
  expect(await rig.report(jobId!)).toMatchObject({ state: 'failed', failureClass: 'permanent' });
});

test('gives up after a picture has crashed the decoder twice', async () => {
  const rig = await makeRig(resources);
  const { image, jobId } = await rig.upload(await makeUniquePicture('crash'), queuedMode);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'retrying', delaySeconds: 0 });
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  expect(await rig.jobs.claimDue('derive', 1, 60)).toEqual([]);
  const reason = 'The decoder crashed on this image (SIGABRT).';
  expect(await rig.image(image.id)).toMatchObject({ status: 'failed', error: reason });
  const poisonJobs = await selectRows(
    database,
    'SELECT id, failure_class, crashes, retries FROM poison_jobs',
  );
  expect(poisonJobs).toEqual([{ id: jobId, failure_class: 'crash', crashes: 1, retries: 0 }]);
  expect((await rig.report(jobId!))?.history).toHaveLength(2);
  expect(rig.logger.messages()).toEqual([
    `job ${jobId} (image ${image.id}) failed (retry 1 of 1 in 0 s): ${reason}`,
    `job ${jobId} (image ${image.id}) failed permanently after 1 retry: ${reason}`,
  ]);
  const { outcome } = await rig.upload(await makeUniquePicture());
  expect(outcome).toBe('new');
});

/** Creates a test rig in which the first `failingAttempts` attempts to record a failure throw an error. */
async function makeFailingRig(failingAttempts: number, leaseSeconds = 60) {
  let attempts = 0;
  const rig = await makeRig(resources, {
    leaseSeconds,
    replaceQueries: (queries) => ({
      ...queries,
      jobs: {
        ...queries.jobs,
        recordFailure: async (...record) => {
          if (++attempts <= failingAttempts) throw new Error('the database is unavailable');
          return queries.jobs.recordFailure(...record);
        },
      },
    }),
  });
  return { rig, runJob: rig.runJob, countAttempts: () => attempts };
}

test('records a failure when the database works again, and logs the outage only once', async () => {
  const { rig, runJob } = await makeFailingRig(2);
  const { image, jobId } = await rig.upload(await makeTruncatedPicture(), queuedMode);
  const job = await claimOne(database);
  expect(await runJob(job)).toMatchObject({ state: 'failed' });
  expect(await rig.image(image.id)).toMatchObject({ status: 'failed', errorCode: 'picture_cut' });
  expect(rig.logger.messages('error')).toEqual([`failed to record the failure of job ${jobId}; retrying`]);
  expect(rig.logger.messages('warn')).toHaveLength(1);
});

test('drops the job if its failure cannot be recorded before the lease expires', async () => {
  const { rig, runJob, countAttempts } = await makeFailingRig(99, 1.2);
  await rig.upload(await makeTruncatedPicture(), queuedMode);
  expect(await runJob(await claimOne(database, 60))).toEqual({ state: 'dropped' });
  expect(countAttempts()).toBeGreaterThan(1);
  expect(countAttempts()).toBeLessThan(5);
});

test('stops trying to record a failure when the process stops', async () => {
  const { rig, runJob, countAttempts } = await makeFailingRig(99);
  await rig.upload(await makeTruncatedPicture(), queuedMode);
  const run = runJob(await claimOne(database));
  await expect.poll(countAttempts).toBe(1);
  await rig.leases.handBack();
  expect(await run).toEqual({ state: 'dropped' });
  expect(countAttempts()).toBe(1);
  expect(await claimOne(database)).toMatchObject({ retries: 0 });
});
