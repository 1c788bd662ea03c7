import { expect, test } from 'vitest';
import { openPrincipal } from '../../src/model/principal.ts';
import { brokenPicture, uniquePicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, type RigOptions, useEngines } from '../support/inner/rig.ts';
import { rowOf, rowsOf } from '../support/inner/database.ts';

/** Concurrent changes to an image while its upload is being processed. */

const engines = await useEngines();
const { database } = engines;

/** A rig whose derivations start, and then wait until they are released. */
async function makeHeldRig(options: RigOptions = {}) {
  const begun = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  const { decoders } = engines;
  const derive: typeof decoders.derive = async (request) => {
    begun.resolve();
    await released.promise;
    return decoders.derive(request);
  };
  const rig = await makeRig({ database, decoders: { ...decoders, derive } }, options);
  return { rig, begun: begun.promise, release: () => released.resolve() };
}

const onlyImage = () => rowOf<{ id: number }>(database, 'SELECT id FROM images');
const reasonOfFailure = { code: expect.stringMatching(/^picture_/), status: 400 } as const;
const queued = { mode: 'queued' } as const;

test('keeps a broken picture as failed, with its reference, once another client has received it', async () => {
  const { rig, begun, release } = await makeHeldRig();
  const bytes = await brokenPicture();
  const first = expect(rig.upload(bytes)).rejects.toMatchObject(reasonOfFailure);
  await begun;
  const second = await rig.upload(bytes, queued);
  expect(second).toMatchObject({ outcome: 'known', image: { status: 'processing' } });
  await rig.references.add(second.image.id, 'product-42');
  release();
  await first;
  expect(await rig.image(second.image.id)).toMatchObject({
    status: 'failed',
    errorCode: reasonOfFailure.code,
    inUseCount: 1,
  });
  expect(await rig.storage.readAll(second.image.originalKey!)).toEqual(bytes);
});

test('keeps a broken picture that has a reference', async () => {
  const { rig, begun, release } = await makeHeldRig();
  const first = expect(rig.upload(await brokenPicture())).rejects.toMatchObject(reasonOfFailure);
  await begun;
  const { id } = await onlyImage();
  await rig.references.add(id, 'product-42');
  release();
  await first;
  expect(await rig.image(id)).toMatchObject({ status: 'failed', inUseCount: 1 });
});

test('keeps a broken picture that was returned unfinished to its own client', async () => {
  const { rig, begun, release } = await makeHeldRig({ inlineMs: 50 });
  const answered = rig.upload(await brokenPicture());
  await begun;
  const { image } = await answered;
  expect(image.status).toBe('processing');
  release();
  await expect.poll(() => rig.image(image.id)).toMatchObject({ status: 'failed' });
});

test('rejects a broken picture that is deleted during its upload, and it can be restored', async () => {
  const { rig, begun, release } = await makeHeldRig();
  const first = rig.upload(await brokenPicture()).catch((error: unknown) => error);
  await begun;
  const { id } = await onlyImage();
  await rig.softDelete({ id });
  release();
  // Depends on which is noticed first.
  expect(await first).toMatchObject({ code: expect.stringMatching(/^(?:picture_|image_deleted)/) as string });
  await expect.poll(() => rowsOf(database, "SELECT 1 FROM jobs WHERE state = 'processing'")).toEqual([]);
  await rig.deletion.restore(openPrincipal, { id });
  expect(await rig.image(id)).toMatchObject({ status: 'failed' });
});

async function uploadDeleted(bytes: Buffer, remove: (rig: Rig, id: number) => Promise<unknown>) {
  const { rig, begun, release } = await makeHeldRig();
  const upload = rig.upload(bytes).catch((error: unknown) => error);
  await begun;
  await remove(rig, (await onlyImage()).id);
  return { rig, upload, release };
}

const deleted = {
  code: 'image_deleted',
  status: 409,
  message: expect.stringMatching(/^Image \d+ was deleted while it was being processed; send/) as string,
};

test('reports image_deleted for an image that is deleted during its upload, and accepts it the next time', async () => {
  const bytes = await uniquePicture();
  const { rig, upload, release } = await uploadDeleted(bytes, (on, id) => on.softDelete({ id }));
  expect(await upload).toMatchObject(deleted);
  release();
  expect(await rig.upload(bytes)).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
});

test('reports image_deleted also if the job finishes before the deletion is noticed', async () => {
  const { upload, release } = await uploadDeleted(await uniquePicture(), (on, id) => on.softDelete({ id }));
  release();
  expect(await upload).toMatchObject(deleted);
});

test('ingests an upload as new if the image that it waits for is deleted', async () => {
  const bytes = await uniquePicture();
  const { rig, begun, release } = await makeHeldRig();
  const first = rig.upload(bytes).catch((error: unknown) => error);
  await begun;
  const elsewhere = await makeRig(engines);
  const second = elsewhere.upload(bytes);
  await rig.softDelete(await onlyImage());
  expect(await second).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
  release();
  expect(await first).toMatchObject(deleted);
});

test('rejects uploads that wait for the same broken bytes in another process, with the reason', async () => {
  const bytes = await brokenPicture();
  const { rig, begun, release } = await makeHeldRig();
  const first = rig.upload(bytes).catch((error: unknown) => error);
  await begun;
  const elsewhere = await makeRig(engines);
  const others = [elsewhere.upload(bytes), elsewhere.upload(bytes)].map((one) =>
    one.catch((error: unknown) => error),
  );
  release();
  for (const answer of [first, ...others]) expect(await answer).toMatchObject(reasonOfFailure);
  expect(await rowsOf(database, 'SELECT 1 FROM images')).toEqual([]);
});
