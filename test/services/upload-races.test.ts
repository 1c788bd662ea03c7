import { expect, test } from 'vitest';
import { unrestrictedPrincipal, systemPrincipal } from '../../src/model/principal.ts';
import { makeTruncatedPicture, makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, type RigOptions, useTestResources } from '../support/inner/rig.ts';
import { selectRow, selectRows } from '../support/inner/database.ts';

/** Tests concurrent changes to an image while its upload is being processed. */

const resources = await useTestResources();
const { database } = resources;

/** Creates a test rig that pauses processing until `release` is called. `processingStarted` resolves when processing starts. */
async function makePausedRig(options: RigOptions = {}) {
  const started = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const { decoders } = resources;
  const derive: typeof decoders.derive = async (request) => {
    started.resolve();
    await gate.promise;
    return decoders.derive(request);
  };
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, options);
  return { rig, processingStarted: started.promise, release: () => gate.resolve() };
}

const findOnlyImage = () => selectRow<{ id: number }>(database, 'SELECT id FROM images');
const decodeFailure = { code: expect.stringMatching(/^picture_/), status: 400 } as const;
const queuedMode = { mode: 'queued' } as const;

test('keeps an undecodable picture as a failed image if another client has received the image', async () => {
  const { rig, processingStarted, release } = await makePausedRig();
  const bytes = await makeTruncatedPicture();
  const firstUpload = expect(rig.upload(bytes)).rejects.toMatchObject(decodeFailure);
  await processingStarted;
  const secondUpload = await rig.upload(bytes, queuedMode);
  expect(secondUpload).toMatchObject({ outcome: 'known', image: { status: 'processing' } });
  await rig.references.add(systemPrincipal, secondUpload.image.id, 'product-42');
  release();
  await firstUpload;
  expect(await rig.image(secondUpload.image.id)).toMatchObject({
    status: 'failed',
    errorCode: decodeFailure.code,
    inUseCount: 1,
  });
  expect(await rig.storage.readAll(secondUpload.image.originalKey!)).toEqual(bytes);
});

test('keeps an undecodable picture as a failed image if the image has a reference', async () => {
  const { rig, processingStarted, release } = await makePausedRig();
  const firstUpload = expect(rig.upload(await makeTruncatedPicture())).rejects.toMatchObject(decodeFailure);
  await processingStarted;
  const { id } = await findOnlyImage();
  await rig.references.add(systemPrincipal, id, 'product-42');
  release();
  await firstUpload;
  expect(await rig.image(id)).toMatchObject({ status: 'failed', inUseCount: 1 });
});

test('keeps an undecodable picture as a failed image if the client has received the unfinished image', async () => {
  const { rig, processingStarted, release } = await makePausedRig({ inlineMs: 50 });
  const upload = rig.upload(await makeTruncatedPicture());
  await processingStarted;
  const { image } = await upload;
  expect(image.status).toBe('processing');
  release();
  await expect.poll(() => rig.image(image.id)).toMatchObject({ status: 'failed' });
});

test('rejects an undecodable picture whose image is deleted during the upload, and allows the image to be restored', async () => {
  const { rig, processingStarted, release } = await makePausedRig();
  const firstUpload = rig.upload(await makeTruncatedPicture()).catch((error: unknown) => error);
  await processingStarted;
  const { id } = await findOnlyImage();
  await rig.softDelete({ id });
  release();
  // The code depends on whether the damage or the deletion is detected first.
  expect(await firstUpload).toMatchObject({
    code: expect.stringMatching(/^(?:picture_|image_deleted)/) as string,
  });
  await expect.poll(() => selectRows(database, "SELECT 1 FROM jobs WHERE state = 'processing'")).toEqual([]);
  await rig.deletion.restore(unrestrictedPrincipal, { id });
  expect(await rig.image(id)).toMatchObject({ status: 'failed' });
});

/** Uploads a picture and removes its image while the image is being processed. */
async function uploadAndDelete(bytes: Buffer, remove: (rig: Rig, id: number) => Promise<unknown>) {
  const { rig, processingStarted, release } = await makePausedRig();
  const upload = rig.upload(bytes).catch((error: unknown) => error);
  await processingStarted;
  await remove(rig, (await findOnlyImage()).id);
  return { rig, upload, release };
}

const deletedError = {
  code: 'image_deleted',
  status: 409,
  message: expect.stringMatching(
    /^Image \d+ was deleted while it was being processed\. Upload it again/,
  ) as string,
};

test('reports image_deleted if the image is deleted during its upload, and accepts a second upload', async () => {
  const bytes = await makeUniquePicture();
  const { rig, upload, release } = await uploadAndDelete(bytes, (rig, id) => rig.softDelete({ id }));
  expect(await upload).toMatchObject(deletedError);
  release();
  expect(await rig.upload(bytes)).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
});

test('reports image_deleted if the job finishes before the deletion is detected', async () => {
  const { upload, release } = await uploadAndDelete(await makeUniquePicture(), (rig, id) =>
    rig.softDelete({ id }),
  );
  release();
  expect(await upload).toMatchObject(deletedError);
});

test('treats an upload as new if the image that it waits for is deleted', async () => {
  const bytes = await makeUniquePicture();
  const { rig, processingStarted, release } = await makePausedRig();
  const firstUpload = rig.upload(bytes).catch((error: unknown) => error);
  await processingStarted;
  const otherProcess = await makeRig(resources);
  const secondUpload = otherProcess.upload(bytes);
  await rig.softDelete(await findOnlyImage());
  expect(await secondUpload).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
  release();
  expect(await firstUpload).toMatchObject(deletedError);
});

test('returns the decoding error to uploads that wait for another process to decode the same bytes', async () => {
  const bytes = await makeTruncatedPicture();
  const { rig, processingStarted, release } = await makePausedRig();
  const firstUpload = rig.upload(bytes).catch((error: unknown) => error);
  await processingStarted;
  const otherProcess = await makeRig(resources);
  const otherUploads = [otherProcess.upload(bytes), otherProcess.upload(bytes)].map((upload) =>
    upload.catch((error: unknown) => error),
  );
  release();
  for (const result of [firstUpload, ...otherUploads]) expect(await result).toMatchObject(decodeFailure);
  expect(await selectRows(database, 'SELECT 1 FROM images')).toEqual([]);
});
