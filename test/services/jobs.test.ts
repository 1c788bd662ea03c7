import { rename } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { truncatedPicture, uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const resources = await useTestResources();
const { database } = resources;
const queued = { mode: 'queued' } as const;

/** Creates a test rig with its job service and a counter of worker wake-ups. */
async function setUp() {
  const rig = await makeRig(resources);
  const wakes = countWakes(rig.queue);
  return { rig, wakes, jobs: rig.services.jobs };
}

test('retries a failed job and completes its image', async () => {
  const { rig, wakes, jobs } = await setUp();
  const { image, jobId } = await rig.upload(await uniquePicture(), queued);
  await rename(rig.pathOf('originals'), rig.pathOf('moved-away'));
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'failed' });
  await rename(rig.pathOf('moved-away'), rig.pathOf('originals'));
  wakes.count = 0;
  expect(await jobs.retry(unrestrictedPrincipal, jobId!)).toMatchObject({
    id: jobId,
    state: 'pending',
    error: null,
  });
  expect(wakes.count).toBe(1);
  expect(await rig.runJob(await claimOne(database))).toMatchObject({ state: 'completed' });
  expect(await rig.image(image.id)).toMatchObject({ status: 'completed', error: null });
  expect((await rig.report(jobId!))?.history).toHaveLength(1);
});

test('downloads the file again when a failed import is retried', async () => {
  const { rig, jobs } = await setUp();
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', 404);
  const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  const job = await claimOne(database, 60, 'import');
  expect(await rig.runJob(job)).toMatchObject({ state: 'failed' });
  origin.put('/vase.jpg', await uniquePicture());
  await jobs.retry(unrestrictedPrincipal, job.id);
  expect(await rig.runJob(await claimOne(database, 60, 'import'))).toMatchObject({ state: 'completed' });
  expect(await rig.image(image.id)).toMatchObject({ status: 'completed', filename: 'vase.jpg' });
});

test('reports why a job cannot be retried', async () => {
  const { rig, wakes, jobs } = await setUp();
  const { jobId, image } = await rig.upload(await truncatedPicture(), queued);
  await expect(jobs.retry(unrestrictedPrincipal, jobId!)).rejects.toMatchObject({
    code: 'job_not_failed',
    message: `Job ${jobId} is pending; only failed jobs can be retried.`,
  });
  await rig.runJob(await claimOne(database));
  await rig.softDelete({ id: image.id });
  wakes.count = 0;
  await expect(jobs.retry(unrestrictedPrincipal, jobId!)).rejects.toMatchObject({
    code: 'job_not_failed',
    message: `Job ${jobId} failed, but its image has since been deleted or processed again.`,
  });
  await expect(jobs.retry(unrestrictedPrincipal, 424_242)).rejects.toMatchObject({
    code: 'job_not_found',
    message: 'There is no job 424242.',
  });
  expect(wakes.count).toBe(0);
});

test('retries all failed jobs with the given cause, and wakes workers if any job is retried', async () => {
  const { rig, wakes, jobs } = await setUp();
  for (let i = 0; i < 3; i++) {
    await rig.upload(await truncatedPicture(), { ...queued, tenantName: i === 0 ? 'other' : 'shop' });
    await rig.runJob(await claimOne(database));
  }
  wakes.count = 0;
  expect(await jobs.retryAll(unrestrictedPrincipal, { code: 'storage_failed' })).toBe(0);
  expect(wakes.count).toBe(0);
  expect(await jobs.retryAll(unrestrictedPrincipal, { code: 'picture_damaged', tenant: 'shop' })).toBe(2);
  expect(wakes.count).toBe(1);
  expect(await jobs.retryAll(unrestrictedPrincipal, { failureClass: 'permanent' })).toBe(1);
});
