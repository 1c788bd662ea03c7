import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { brokenPicture, uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, type RigOptions, useEngines } from '../support/inner/rig.ts';
import { rowOf, rowsOf } from '../support/inner/database.ts';

/** Concurrent changes to an image while its upload is being processed. */

const engines = await useEngines();
const { database } = engines;

/** A rig whose derivations wait until they are released. `started` resolves when the first one starts. */
async function makePausedRig(options: RigOptions = {}) {
  const started = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const { decoders } = engines;
  const derive: typeof decoders.derive = async (request) => {
    started.resolve();
    await released.promise;
    return decoders.derive(request);
  };
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, options);
  return { rig, started: started.promise, release: () => released.resolve() };
}

const onlyImage = () => rowOf<{ id: number }>(database, 'SELECT id FROM images');
const decodeFailure = { code: expect.stringMatching(/^picture_/), status: 400 } as const;
const queued = { mode: 'queued' } as const;

test('keeps a broken picture as failed, with its reference, if another client has seen the image', async () => {
  const { rig, started, release } = await makePausedRig();
  const bytes = await brokenPicture();
  const first = expect(rig.upload(bytes)).rejects.toMatchObject(decodeFailure);
  await started;
  const second = await rig.upload(bytes, queued);
  expect(second).toMatchObject({ outcome: 'known', image: { status: 'processing' } });
  await rig.references.add(second.image.id, 'product-42');
  release();
  await first;
  expect(await rig.image(second.image.id)).toMatchObject({
    status: 'failed',
    errorCode: decodeFailure.code,
    inUseCount: 1,
  });
  expect(await rig.storage.readAll(second.image.originalKey!)).toEqual(bytes);
});

test('keeps a broken picture that has a reference', async () => {
  const { rig, started, release } = await makePausedRig();
  const first = expect(rig.upload(await brokenPicture())).rejects.toMatchObject(decodeFailure);
  await started;
  const { id } = await onlyImage();
  await rig.references.add(id, 'product-42');
  release();
  await first;
  expect(await rig.image(id)).toMatchObject({ status: 'failed', inUseCount: 1 });
});

test('keeps a broken picture if its client was sent the unfinished image', async () => {
  const { rig, started, release } = await makePausedRig({ inlineMs: 50 });
  const upload = rig.upload(await brokenPicture());
  await started;
  const { image } = await upload;
  expect(image.status).toBe('processing');
  release();
  await expect.poll(() => rig.image(image.id)).toMatchObject({ status: 'failed' });
});

test('rejects a broken picture that is deleted during its upload, and allows its restoration', async () => {
  const { rig, started, release } = await makePausedRig();
  const first = rig.upload(await brokenPicture()).catch((error: unknown) => error);
  await started;
  const { id } = await onlyImage();
  await rig.softDelete({ id });
  release();
  // The code depends on which is noticed first, the damage or the deletion.
  expect(await first).toMatchObject({ code: expect.stringMatching(/^(?:picture_|image_deleted)/) as string });
  await expect.poll(() => rowsOf(database, "SELECT 1 FROM jobs WHERE state = 'processing'")).toEqual([]);
  await rig.deletion.restore(unrestrictedPrincipal, { id });
  expect(await rig.image(id)).toMatchObject({ status: 'failed' });
});

/** Uploads a picture and deletes its image while it is being derived. */
async function uploadAndDelete(bytes: Buffer, remove: (rig: Rig, id: number) => Promise<unknown>) {
  const { rig, started, release } = await makePausedRig();
  const upload = rig.upload(bytes).catch((error: unknown) => error);
  await started;
  await remove(rig, (await onlyImage()).id);
  return { rig, upload, release };
}

const deleted = {
  code: 'image_deleted',
  status: 409,
  message: expect.stringMatching(
    /^Image \d+ was deleted while it was being processed\. Upload it again/,
  ) as string,
};

test('reports image_deleted if the image is deleted during its upload, and accepts a second upload', async () => {
  const bytes = await uniquePicture();
  const { rig, upload, release } = await uploadAndDelete(bytes, (rig, id) => rig.softDelete({ id }));
  expect(await upload).toMatchObject(deleted);
  release();
  expect(await rig.upload(bytes)).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
});

test('reports image_deleted even if the job finishes before the deletion is noticed', async () => {
  const { upload, release } = await uploadAndDelete(await uniquePicture(), (rig, id) =>
    rig.softDelete({ id }),
  );
  release();
  expect(await upload).toMatchObject(deleted);
});

test('ingests an upload as new if the image it waits for is deleted', async () => {
  const bytes = await uniquePicture();
  const { rig, started, release } = await makePausedRig();
  const first = rig.upload(bytes).catch((error: unknown) => error);
  await started;
  const otherProcess = await makeRig(engines);
  const second = otherProcess.upload(bytes);
  await rig.softDelete(await onlyImage());
  expect(await second).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
  release();
  expect(await first).toMatchObject(deleted);
});

test('rejects uploads that wait for the same broken bytes in another process, with the reason', async () => {
  const bytes = await brokenPicture();
  const { rig, started, release } = await makePausedRig();
  const first = rig.upload(bytes).catch((error: unknown) => error);
  await started;
  const otherProcess = await makeRig(engines);
  const others = [otherProcess.upload(bytes), otherProcess.upload(bytes)].map((upload) =>
    upload.catch((error: unknown) => error),
  );
  release();
  for (const result of [first, ...others]) expect(await result).toMatchObject(decodeFailure);
  expect(await rowsOf(database, 'SELECT 1 FROM images')).toEqual([]);
});
