import { rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeCompletionEvents } from '../../src/services/completion-events.ts';
import { makeWaitForImage } from '../../src/services/wait-for-image.ts';
import { attemptOf, claimOne } from '../support/inner/jobs.ts';
import { freshPicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useEngines } from '../support/inner/rig.ts';

const engines = await useEngines();
const { database } = engines;

async function pending(rig: Rig): Promise<number> {
  return (await rig.upload(await freshPicture(), { mode: 'queued' })).image.id;
}

/** Waits as another process would: nobody tells it anything, it has to look. */
const elsewhere = (rig: Rig) =>
  makeWaitForImage({ images: rig.images, completionEvents: makeCompletionEvents() });

test('an image that is not ready in time is answered as it stands', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  const began = performance.now();
  expect(await rig.waitForImage(id, 700)).toMatchObject({ id, status: 'pending' });
  expect(performance.now() - began).toBeGreaterThan(650);
});

test('the wait ends as soon as the work does', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  let looks = 0;
  const find: typeof rig.images.find = (...which) => (looks++, rig.images.find(...which));
  const wait = makeWaitForImage({ images: { find }, completionEvents: rig.completionEvents });
  const waiting = wait(id, 20_000);
  await rig.runJob(await claimOne(database));
  const before = looks;
  expect(await waiting).toMatchObject({ id, status: 'completed' });
  // The event leads to one look; without it, the wait would go on until the next one on its timetable.
  expect(looks - before).toBeLessThanOrEqual(1);
});

test('work of another process is seen as well', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  const waiting = elsewhere(rig)(id, 20_000);
  await rig.runJob(await claimOne(database));
  expect(await waiting).toMatchObject({ id, status: 'completed' });
});

test('a failure has the same code and reason wherever the work was done', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  await writeFile(rig.pathOf('renditions'), 'a file in the place of the folder');
  const job = { ...(await claimOne(database)), retries: 3 };
  const here = rig.waitForImage(id, 20_000);
  const there = elsewhere(rig)(id, 20_000);
  const expected = {
    code: 'storage_failed',
    status: 503,
    message: expect.stringMatching(/storage/) as string,
  };
  const both = Promise.all([
    expect(here).rejects.toMatchObject(expected),
    expect(there).rejects.toMatchObject(expected),
  ]);
  await rig.runJob(job);
  await both;
  await rm(rig.pathOf('renditions'));
});

test('a failure without a code of ours is still a failure with its reason', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  await rig.jobs.recordFailure(await claimOne(database), attemptOf('lease-lost'), { state: 'failed' });
  await expect(elsewhere(rig)(id, 20_000)).rejects.toMatchObject({ message: 'A lease-lost failure.' });
});

test('an image that goes away ends the wait', async () => {
  const rig = await makeRig(engines);
  const id = await pending(rig);
  const waiting = expect(rig.waitForImage(id, 20_000)).rejects.toMatchObject({ name: 'AppError' });
  await sleep(50);
  await rig.hide({ id });
  await waiting;
});
