import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeCompletionEvents, makeWaitForImage } from '../../src/services/wait-for-image.ts';
import { makeFailedAttempt, claimOne } from '../support/inner/jobs.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const { database } = resources;

/** Uploads a picture without processing it, and returns the image's id. */
async function uploadPending(rig: Rig): Promise<number> {
  return (await rig.upload(await makeUniquePicture(), { mode: 'queued' })).image.id;
}

/** Returns a function that waits by polling, as in a different process, which completion events do not reach. */
const makePollingWait = (rig: Rig) =>
  makeWaitForImage({ images: rig.images, completionEvents: makeCompletionEvents() });

test('returns an unfinished image at the time limit', async () => {
  const rig = await makeRig(resources);
  const id = await uploadPending(rig);
  const startedAt = performance.now();
  expect(await rig.waitForImage(id, 700)).toMatchObject({ id, status: 'pending' });
  expect(performance.now() - startedAt).toBeGreaterThan(650);
});

test('resolves as soon as the job ends', async () => {
  let reads = 0;
  const rig = await makeRig(resources, {
    replaceQueries: (queries) => ({
      ...queries,
      images: { ...queries.images, find: (...args) => (reads++, queries.images.find(...args)) },
    }),
  });
  const id = await uploadPending(rig);
  const imagePromise = rig.waitForImage(id, 20_000);
  await rig.runJob(await claimOne(database));
  const readsBefore = reads;
  expect(await imagePromise).toMatchObject({ id, status: 'completed' });
  // The event causes one read. Without the event, the wait would continue until the next poll.
  expect(reads - readsBefore).toBeLessThanOrEqual(1);
});

test('detects that another process has finished the job', async () => {
  const rig = await makeRig(resources);
  const id = await uploadPending(rig);
  const imagePromise = makePollingWait(rig)(id, 20_000);
  await rig.runJob(await claimOne(database));
  expect(await imagePromise).toMatchObject({ id, status: 'completed' });
});

test('reports the same error code and message for a failed job in every process', async () => {
  const rig = await makeRig(resources);
  const id = await uploadPending(rig);
  await writeFile(rig.filePath('renditions'), 'a file instead of the folder');
  const job = { ...(await claimOne(database)), retries: 3 };
  const sameProcessWait = rig.waitForImage(id, 20_000);
  const otherProcessWait = makePollingWait(rig)(id, 20_000);
  const expectedError = {
    code: 'storage_failed',
    status: 503,
    message: expect.stringMatching(/storage/) as string,
  };
  const rejections = Promise.all([
    expect(sameProcessWait).rejects.toMatchObject(expectedError),
    expect(otherProcessWait).rejects.toMatchObject(expectedError),
  ]);
  await rig.runJob(job);
  await rejections;
  await rm(rig.filePath('renditions'));
});

test('reports the message of a failure with an unknown code', async () => {
  const rig = await makeRig(resources);
  const id = await uploadPending(rig);
  await rig.jobs.recordFailure(await claimOne(database), makeFailedAttempt('lease-lost'), {
    state: 'failed',
  });
  await expect(makePollingWait(rig)(id, 20_000)).rejects.toMatchObject({
    message: 'A lease-lost failure.',
  });
});

test('rejects if the image is deleted', async () => {
  const rig = await makeRig(resources);
  const id = await uploadPending(rig);
  const imagePromise = expect(rig.waitForImage(id, 20_000)).rejects.toMatchObject({ name: 'AppError' });
  await sleep(50);
  await rig.softDelete({ id });
  await imagePromise;
});

describe('completion events', () => {
  const error = new AppError('picture_damaged', 'No.');

  test('notify all listeners for an image, and no other listeners', async () => {
    const completionEvents = makeCompletionEvents();
    const [firstListener, secondListener, otherListener] = [
      completionEvents.listen(1),
      completionEvents.listen(1),
      completionEvents.listen(2),
    ];
    completionEvents.publish(1, { error });
    expect(await Promise.all([firstListener.completion, secondListener.completion])).toEqual([
      { error },
      { error },
    ]);
    expect(await Promise.race([otherListener.completion, Promise.resolve('nothing')])).toBe('nothing');
  });

  test('do not notify listeners that were added too late or have stopped', async () => {
    const completionEvents = makeCompletionEvents();
    const stoppedListener = completionEvents.listen(1);
    stoppedListener.stop();
    completionEvents.publish(1, { error });
    const lateListener = completionEvents.listen(1);
    for (const { completion } of [stoppedListener, lateListener]) {
      expect(await Promise.race([completion, Promise.resolve('nothing')])).toBe('nothing');
    }
  });

  test('still notify the other listeners when one listener stops', async () => {
    const completionEvents = makeCompletionEvents();
    const [stoppedListener, activeListener] = [completionEvents.listen(1), completionEvents.listen(1)];
    stoppedListener.stop();
    stoppedListener.stop();
    completionEvents.publish(1, { error });
    expect(await activeListener.completion).toEqual({ error });
  });
});
