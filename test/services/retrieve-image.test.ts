import { execFileSync } from 'node:child_process';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal, type Principal } from '../../src/model/principal.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';
import { makePreset } from '../../src/model/preset.ts';

const resources = await useTestResources();

/** Creates a test rig with one completed image and the services that retrieve and delete it. */
async function setUp(readCacheBytes = 2 ** 20) {
  const rig = await makeRig(resources, { readCacheBytes });
  const { retrieve, deleteImage: remove } = rig.services;
  const bytes = await makeUniquePicture();
  const { image } = await rig.upload(bytes);
  const thumb = image.renditions.find(({ preset }) => preset === 'thumb')!;
  return { rig, retrieve, remove, bytes, image, ref: { id: image.id }, thumb };
}

const otherPrincipal: Principal = { ...unrestrictedPrincipal, subject: 'other', tenantId: 999_999 };

test('reads a rendition once and then returns it from the cache', async () => {
  const { rig, retrieve, image, ref, thumb } = await setUp();
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'thumb')).toBeUndefined();
  const rendition = await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb');
  if (!('body' in rendition)) throw new Error('The rendition was not cached.');
  expect(rendition.body).toEqual(await rig.storage.readAll(thumb.storageKey));
  expect(rendition.etag).toBe(`"${thumb.contentHash.slice(0, 32)}"`);
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'thumb')).toEqual(rendition);
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'card')).toBeUndefined();
});

test('does not return a cached rendition to another tenant', async () => {
  const { retrieve, image, ref } = await setUp();
  await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb');
  expect(retrieve.cached(otherPrincipal, String(image.id), 'thumb')).toBeUndefined();
  await expect(retrieve.rendition(otherPrincipal, ref, 'thumb')).rejects.toMatchObject({
    code: 'image_not_found',
  });
  await expect(retrieve.original(otherPrincipal, ref)).rejects.toMatchObject({ code: 'image_not_found' });
});

test('streams a rendition that does not fit into the cache', async () => {
  const { rig, retrieve, image, ref, thumb } = await setUp(0);
  const rendition = await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb');
  if (!('open' in rendition)) throw new Error('The rendition was cached.');
  expect(await buffer(await rendition.open())).toEqual(await rig.storage.readAll(thumb.storageKey));
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'thumb')).toBeUndefined();
});

test('does not return a cached rendition after its image is deleted', async () => {
  const { retrieve, remove, image, ref } = await setUp();
  const refs = [ref, { uuid: image.uuid }];
  for (const ref of refs) await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb');
  await remove(unrestrictedPrincipal, ref, { force: false });
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'thumb')).toBeUndefined();
  expect(retrieve.cached(unrestrictedPrincipal, image.uuid, 'thumb')).toBeUndefined();
  for (const ref of refs) {
    await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).rejects.toMatchObject({
      status: 404,
    });
    await expect(retrieve.original(unrestrictedPrincipal, ref)).rejects.toMatchObject({ status: 404 });
    await expect(remove(unrestrictedPrincipal, ref, { force: false })).rejects.toMatchObject({
      code: 'image_not_found',
    });
  }
});

test('does not cache a rendition whose image is deleted during the read', async () => {
  const { rig, retrieve, remove, image, ref, thumb } = await setUp();
  const path = rig.filePath(thumb.storageKey);
  // Replacing the file with a named pipe makes the read wait for data.
  await rm(path);
  execFileSync('mkfifo', [path]);
  const pendingRead = retrieve.rendition(unrestrictedPrincipal, ref, 'thumb');
  await remove(unrestrictedPrincipal, ref, { force: false });
  await writeFile(path, Buffer.alloc(thumb.bytes));
  await pendingRead;
  expect(retrieve.cached(unrestrictedPrincipal, String(image.id), 'thumb')).toBeUndefined();
});

test('returns an original byte for byte, in full or in part', async () => {
  const { retrieve, bytes, image, ref } = await setUp();
  const original = await retrieve.original(unrestrictedPrincipal, ref);
  expect(original).toMatchObject({ bytes: bytes.length, etag: `"${image.contentHash?.slice(0, 32)}"` });
  expect(await buffer(await original.open())).toEqual(bytes);
  expect(await buffer(await original.open({ first: 5, last: 9 }))).toEqual(bytes.subarray(5, 10));
});

test('reports a missing original and marks its image as damaged', async () => {
  const { rig, retrieve, image, ref } = await setUp();
  await rm(rig.filePath(image.originalKey!));
  await expect(retrieve.original(unrestrictedPrincipal, ref)).rejects.toMatchObject({
    code: 'original_missing',
    message: `The original of image ${image.id} is missing from storage; the image has been marked as damaged.`,
  });
  expect((await rig.image(image.id))?.damagedAt).toBeInstanceOf(Date);
  expect(await retrieve.find(unrestrictedPrincipal, ref)).toMatchObject({ status: 'completed' });
});

test('returns a restored original, and clears the damage mark', async () => {
  const { rig, retrieve, image, ref } = await setUp();
  const path = rig.filePath(image.originalKey!);
  const bytes = await readFile(path);
  await rm(path);
  await expect(retrieve.original(unrestrictedPrincipal, ref)).rejects.toMatchObject({
    code: 'original_missing',
  });
  await writeFile(path, bytes);
  expect(await buffer(await (await retrieve.original(unrestrictedPrincipal, ref)).open())).toEqual(bytes);
  expect((await rig.image(image.id))?.damagedAt).toBeNull();
});

test('does not return a truncated original', async () => {
  const { rig, retrieve, image, ref } = await setUp();
  await truncate(rig.filePath(image.originalKey!), 10);
  await expect(retrieve.original(unrestrictedPrincipal, ref)).rejects.toMatchObject({
    code: 'original_missing',
  });
  expect((await rig.image(image.id))?.damagedAt).toBeInstanceOf(Date);
});

test('reports why a rendition or an image is not available', async () => {
  const { rig, retrieve, ref } = await setUp();
  await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'poster')).rejects.toMatchObject({
    code: 'unknown_preset',
    message: 'There is no preset "poster"; the presets are thumb, card.',
  });
  const pendingUpload = await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await expect(
    retrieve.rendition(unrestrictedPrincipal, { id: pendingUpload.image.id }, 'thumb'),
  ).rejects.toMatchObject({
    code: 'rendition_not_ready',
    message: expect.stringMatching(/is pending/) as string,
  });
  await expect(retrieve.find(unrestrictedPrincipal, { id: 424_242 })).rejects.toMatchObject({
    code: 'image_not_found',
    message: 'There is no image 424242.',
  });
});

test.each(['missing', 'truncated'])('makes a %s rendition again, with the same bytes', async (damage) => {
  const { rig, retrieve, ref, thumb } = await setUp();
  const path = rig.filePath(thumb.storageKey);
  const bytesBefore = await rig.storage.readAll(thumb.storageKey);
  await (damage === 'truncated' ? truncate(path, 10) : rm(path));
  rig.renderedFiles.length = 0;
  const requests = Array.from({ length: 5 }, () => retrieve.rendition(unrestrictedPrincipal, ref, 'thumb'));
  for (const rendition of await Promise.all(requests)) expect(rendition).toMatchObject({ body: bytesBefore });
  expect(rig.renderedFiles, 'once for all requests').toEqual(['thumb.jpeg']);
  expect(await readFile(path)).toEqual(bytesBefore);
});

test('makes a missing rendition of a new preset on request, and still returns the renditions of removed presets', async () => {
  const { rig, image, ref, thumb } = await setUp();
  const hero = makePreset({ name: 'hero', width: 50, height: 50 });
  const { retrieve } = (await makeRig(resources, { presets: [hero], root: rig.root })).services;
  const made = await retrieve.rendition(unrestrictedPrincipal, ref, 'hero');
  if (!('open' in made)) throw new Error('The rendition was cached.');
  expect(made.rendition).toMatchObject({
    preset: 'hero',
    format: 'jpeg',
    isListed: true,
    isOnRequest: false,
  });
  expect((await rig.image(image.id))?.renditions.map(({ preset }) => preset).toSorted()).toEqual([
    'card',
    'hero',
    'thumb',
  ]);
  expect(await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).toMatchObject({
    rendition: { id: thumb.id },
  });
  await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'poster')).rejects.toMatchObject({
    code: 'unknown_preset',
  });
});

test('returns the JPEG of a preset whose first format is another one', async () => {
  const preset = makePreset({ name: 'thumb', width: 20, height: 20, background: 'transparent' });
  const rig = await makeRig(resources, { presets: [preset], readCacheBytes: 2 ** 20 });
  const { image } = await rig.upload(await makeUniquePicture());
  const { retrieve } = rig.services;
  const ref = { uuid: image.uuid };
  expect(await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).toMatchObject({ format: 'png' });
  const jpeg = await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb', 'jpeg');
  if (!('body' in jpeg)) throw new Error('The rendition was not cached.');
  expect([jpeg.format, jpeg.body.subarray(0, 2).toString('hex')]).toEqual(['jpeg', 'ffd8']);
  expect(retrieve.cached(unrestrictedPrincipal, image.uuid, 'thumb', 'jpeg')).toEqual(jpeg);
  expect(retrieve.cached(unrestrictedPrincipal, image.uuid, 'thumb')).toMatchObject({ format: 'png' });
});
