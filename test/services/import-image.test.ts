import { readdir, rm, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { claimOne, makeDue } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { truncatedPicture, uniquePicture } from '../support/inner/pictures.ts';
import { hashOf } from '../support/inner/records.ts';
import { makeRig, type Rig, type RigOptions, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const { database } = resources;
const claim = () => claimOne(database, 60, 'import');

/** Creates a test rig and a web server to import from. */
async function setUp(options?: RigOptions) {
  return { rig: await makeRig(resources, options), origin: await startOrigin() };
}

/** Imports a URL and runs its job once. */
async function importOnce(rig: Rig, url: string, tenantName = 'shop') {
  const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName });
  const outcome = await rig.runJob(await claim());
  return { id: image.id, outcome, image: (await rig.image(image.id))! };
}

test('downloads, stores and processes a picture, and names it after the last part of its URL', async () => {
  const { rig, origin } = await setUp();
  const bytes = await uniquePicture();
  const url = origin.put('/pictures/red%20vase.jpg?size=big', bytes);
  const { image, outcome } = await importOnce(rig, url);
  expect(outcome).toMatchObject({ state: 'completed' });
  expect(image).toMatchObject({
    status: 'completed',
    url,
    filename: 'red vase.jpg',
    contentHash: hashOf(bytes),
    originalBytes: bytes.length,
    width: 160,
    height: 120,
    format: 'jpeg',
    duplicateOf: null,
  });
  expect(await rig.storage.readAll(image.originalKey!)).toEqual(bytes);
  for (const { storageKey } of image.renditions) expect(await rig.storage.stat(storageKey)).toBeDefined();
  expect(image.renditions).toHaveLength(2);
  expect(await readdir(rig.staging.directory)).toEqual([]);
  expect(rig.endedRuns).toEqual(['import completed']);
});

test('reuses content that the tenant already has, without processing it again', async () => {
  const { rig, origin } = await setUp();
  const bytes = await uniquePicture();
  const firstImage = (await rig.upload(bytes)).image;
  const storedKeys = await rig.storedKeys();
  // Processing would fail, because renditions cannot be stored.
  await rm(rig.pathOf('renditions'), { recursive: true });
  await writeFile(rig.pathOf('renditions'), 'a file instead of the folder');
  const { image, outcome } = await importOnce(rig, origin.put('/vase.jpg', bytes));
  await rm(rig.pathOf('renditions'));
  expect(outcome).toMatchObject({ state: 'completed' });
  expect(image).toMatchObject({
    duplicateOf: firstImage.id,
    originalKey: firstImage.originalKey,
    width: 160,
  });
  expect(image.renditions.map(({ storageKey }) => storageKey)).toEqual(
    firstImage.renditions.map(({ storageKey }) => storageKey),
  );
  expect(storedKeys).toContain(image.originalKey);
});

test('does not reuse content across tenants', async () => {
  const { rig, origin } = await setUp();
  const bytes = await uniquePicture();
  const uploadedImage = (await rig.upload(bytes)).image;
  const { image } = await importOnce(rig, origin.put('/vase.jpg', bytes), 'other');
  expect(image).toMatchObject({ status: 'completed', duplicateOf: null });
  expect(image.originalKey).not.toBe(uploadedImage.originalKey);
});

test('does not download again once the original is stored', async () => {
  const { rig, origin } = await setUp();
  const bytes = await uniquePicture();
  await writeFile(rig.pathOf('renditions'), 'a file instead of the folder');
  const { id, outcome } = await importOnce(rig, origin.put('/vase.jpg', bytes));
  expect(outcome).toMatchObject({ state: 'retrying', delaySeconds: 2 });
  expect(await rig.image(id)).toMatchObject({ status: 'pending', contentHash: hashOf(bytes) });
  await rm(rig.pathOf('renditions'));
  await origin.close();
  const { items } = await rig.reports.list(unrestrictedPrincipal, {}, { limit: 9, offset: 0 });
  await makeDue(database, items[0]!.id);
  expect(await rig.runJob(await claim())).toMatchObject({ state: 'completed' });
  expect(origin.requestCount('/vase.jpg')).toBe(1);
  expect(await rig.image(id)).toMatchObject({ status: 'completed', filename: 'vase.jpg' });
});

const permanentFailures: [string, () => Promise<Buffer> | Buffer | number, string, string][] = [
  [
    'a URL without a file',
    () => 404,
    'source_refused',
    'The server returned status 404 instead of an image.',
  ],
  ['an empty file', () => Buffer.alloc(0), 'empty_file', 'The URL returned an empty file.'],
  [
    'a file that is not a picture',
    () => Buffer.from('<html>'),
    'not_a_picture',
    'The URL returned no usable image. ',
  ],
  [
    'a picture that cannot be decoded',
    truncatedPicture,
    'picture_cut',
    'The JPEG image is truncated: the file ends too early.',
  ],
  [
    'a file that is too large',
    () => Buffer.alloc(3000),
    'body_too_large',
    'The file at the URL is larger than 0 MiB (2500 bytes).',
  ],
];

test.each(permanentFailures)('fails permanently for %s', async (name, makeBody, code, message) => {
  const { rig, origin } = await setUp(name.includes('too large') ? { maxDownloadBytes: 2500 } : {});
  const { image, outcome } = await importOnce(rig, origin.put('/vase.jpg', await makeBody()));
  expect(outcome).toMatchObject({ state: 'failed' });
  expect(image).toMatchObject({ status: 'failed', errorCode: code });
  expect(image.error?.startsWith(message), image.error ?? '').toBe(true);
  const { items } = await rig.reports.list(unrestrictedPrincipal, {}, { limit: 9, offset: 0 });
  expect(items).toMatchObject([{ state: 'failed', failureClass: 'permanent', retries: 0 }]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('retries if the server is overloaded or unreachable', async () => {
  const { rig, origin } = await setUp();
  const url = origin.put('/vase.jpg', 503);
  const { id, outcome } = await importOnce(rig, url);
  expect(outcome).toMatchObject({
    state: 'retrying',
    delaySeconds: 2,
    error: { code: 'source_unavailable', message: 'The server returned status 503 instead of an image.' },
  });
  const { items } = await rig.reports.list(unrestrictedPrincipal, {}, { limit: 9, offset: 0 });
  expect(items).toMatchObject([{ state: 'pending', failureStage: 'fetch', retries: 1 }]);
  await origin.close();
  await makeDue(database, items[0]!.id);
  expect(await rig.runJob(await claim())).toMatchObject({
    state: 'retrying',
    delaySeconds: 4,
    error: {
      code: 'source_unavailable',
      message: expect.stringMatching(/^The server sent no HTTP response: /),
    },
  });
  expect(await rig.image(id)).toMatchObject({ status: 'pending', error: null });
});

test('does not restore an image that was deleted before its import ran', async () => {
  const { rig, origin } = await setUp();
  const url = origin.put('/vase.jpg', await uniquePicture());
  const { image } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  await rig.softDelete({ id: image.id });
  await rig.runJob(await claim());
  expect(await rig.image(image.id)).toBeUndefined();
});
