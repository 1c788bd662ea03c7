import { readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { type AppError, errorFamily } from '../../src/errors.ts';
import { rowOf } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { truncatedPicture, uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const { database } = resources;
const queued = { mode: 'queued' } as const;

async function expectNothingStored(rig: Rig): Promise<void> {
  expect(
    await rowOf(
      database,
      'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
    ),
  ).toEqual({ images: 0, jobs: 0 });
  expect(await rig.storedKeys()).toEqual([]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
}

test('rejects an undecodable inline upload, and stores nothing', async () => {
  const rig = await makeRig(resources);
  await expect(rig.upload(await truncatedPicture())).rejects.toMatchObject({
    code: 'picture_cut',
    status: 400,
    message: 'The JPEG image is truncated: the file ends too early.',
  });
  await expectNothingStored(rig);
});

test('rejects all concurrent uploads of the same broken picture, and stores nothing', async () => {
  const rig = await makeRig(resources);
  const bytes = await truncatedPicture();
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => rig.upload(bytes)));
  const families = results.map((result) =>
    result.status === 'rejected' ? errorFamily((result.reason as AppError).code) : 'stored',
  );
  expect(new Set(families)).toEqual(new Set(['picture_damaged']));
  await expectNothingStored(rig);
});

test('rejects a file that is not a picture before storing anything', async () => {
  const rig = await makeRig(resources);
  for (const mode of ['inline', 'queued'] as const) {
    const upload = rig.upload(Buffer.from('Dear shop, please find attached …'), { mode });
    await expect(upload).rejects.toMatchObject({ code: 'not_a_picture', status: 400 });
  }
  await expectNothingStored(rig);
});

test('keeps an undecodable queued upload as a failed image, and retries it when the picture is uploaded again', async () => {
  const rig = await makeRig(resources);
  const bytes = await truncatedPicture();
  const firstUpload = await rig.upload(bytes, queued);
  await rig.runJob(await claimOne(database));
  const error = 'The JPEG image is truncated: the file ends too early.';
  expect(await rig.image(firstUpload.image.id)).toMatchObject({ status: 'failed', error });
  const secondUpload = await rig.upload(bytes, queued);
  expect(secondUpload).toMatchObject({
    outcome: 'retried',
    image: { id: firstUpload.image.id, status: 'pending', error: null },
  });
  expect(secondUpload.jobId).not.toBe(firstUpload.jobId);
  // An inline upload also keeps the failed image, because the image existed before this request.
  await rig.runJob(await claimOne(database));
  await expect(rig.upload(bytes)).rejects.toMatchObject({ code: 'picture_cut', message: error });
  expect(await rig.image(firstUpload.image.id)).toMatchObject({ status: 'failed', error });
});

test('rejects uploads with a retryable error while storage is failing', async () => {
  const rig = await makeRig(resources);
  await writeFile(rig.pathOf('originals'), 'a file instead of the folder');
  const bytes = await uniquePicture();
  await expect(rig.upload(bytes)).rejects.toMatchObject({ code: 'storage_failed', status: 503 });
  await rm(rig.pathOf('originals'));
  await expectNothingStored(rig);
  expect(await rig.upload(bytes)).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
});

test('repairs a missing or truncated original when the same bytes are uploaded again', async () => {
  const rig = await makeRig(resources);
  const bytes = await uniquePicture();
  const { image } = await rig.upload(bytes);
  const path = rig.pathOf(image.originalKey!);
  for (const damage of [() => rm(path), () => truncate(path, 10)]) {
    await damage();
    await rig.images.markDamaged(image.id);
    const repairedUpload = await rig.upload(bytes);
    expect(repairedUpload).toMatchObject({ outcome: 'known', image: { id: image.id, damagedAt: null } });
    expect(await rig.storage.readAll(image.originalKey!)).toEqual(bytes);
  }
});

test('completes an image with a missing original when its bytes are uploaded again', async () => {
  const rig = await makeRig(resources);
  const bytes = await uniquePicture();
  const { image } = await rig.upload(bytes, queued);
  await rm(rig.pathOf(image.originalKey!));
  await rig.runJob(await claimOne(database));
  expect(await rig.image(image.id)).toMatchObject({ status: 'failed', errorCode: 'original_missing' });
  expect(await rig.upload(bytes)).toMatchObject({
    outcome: 'retried',
    image: { id: image.id, status: 'completed', damagedAt: null },
  });
});
