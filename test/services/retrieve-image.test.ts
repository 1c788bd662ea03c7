import { execFileSync } from 'node:child_process';
import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal, type Principal } from '../../src/model/principal.ts';
import { fixPresets } from '../../src/services/presets-in-force.ts';
import { makeRenditionCache } from '../../src/services/rendition-cache.ts';
import { makeRetrieveImage } from '../../src/services/retrieve-image.ts';
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

test.each(['missing', 'truncated'])('regenerates a %s rendition with the same bytes', async (damage) => {
  const { rig, retrieve, ref, thumb } = await setUp();
  const path = rig.filePath(thumb.storageKey);
  const bytesBefore = await rig.storage.readAll(thumb.storageKey);
  await (damage === 'truncated' ? truncate(path, 10) : rm(path));
  for (let requests = 0; requests < 2; requests++) {
    await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).rejects.toMatchObject({
      code: 'rendition_not_ready',
    });
  }
  const claimedJobs = await rig.jobs.claimDue('derive', 10, 60);
  expect(
    claimedJobs.map(({ imageId }) => imageId),
    'one job for all requests',
  ).toEqual([ref.id]);
  expect(await rig.runJob(claimedJobs[0]!)).toMatchObject({ state: 'completed' });
  expect(await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).toMatchObject({
    body: bytesBefore,
  });
});

test('queues one job for a missing rendition of a new preset, and still returns the renditions of removed presets', async () => {
  const { rig, image, ref } = await setUp();
  const cache = makeRenditionCache(0, fixPresets([]));
  const heroPreset = makePreset({ name: 'hero', width: 50, height: 50, quality: 85 });
  const retrieve = makeRetrieveImage({ ...rig, cache, presets: fixPresets([heroPreset]) });
  await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'hero')).rejects.toMatchObject({
    code: 'rendition_not_ready',
  });
  const claimedJobs = await rig.jobs.claimDue('derive', 10, 60);
  expect(claimedJobs.map(({ imageId }) => imageId)).toEqual([image.id]);

  // This worker does not have the preset, so later reads must not queue more jobs.
  expect(await rig.runJob(claimedJobs[0]!)).toMatchObject({ state: 'completed' });
  rig.logger.lines.length = 0;
  for (let read = 0; read < 2; read++)
    await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'hero')).rejects.toMatchObject({
      code: 'rendition_not_ready',
      message: expect.stringMatching(
        /still missing after a job .* A worker may use different PRESETS/,
      ) as string,
    });
  expect(await rig.jobs.claimDue('derive', 10, 60)).toEqual([]);
  expect(rig.logger.messages('warn')[0]).toMatch(/Do all processes use the same PRESETS/);

  expect(await retrieve.rendition(unrestrictedPrincipal, ref, 'thumb')).toHaveProperty('etag');
  await expect(retrieve.rendition(unrestrictedPrincipal, ref, 'poster')).rejects.toMatchObject({
    code: 'unknown_preset',
  });
});
