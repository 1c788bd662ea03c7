import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { originalKey } from '../../src/storage/keys.ts';
import { selectRow } from '../support/inner/database.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { sha256Hex } from '../support/inner/records.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';
import { countWakes } from '../support/inner/wakes.ts';

const resources = await useTestResources();
const { database } = resources;
const queuedMode = { mode: 'queued' } as const;
const countRows = () =>
  selectRow<{ images: number; jobs: number }>(
    database,
    'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM jobs) AS jobs',
  );

test('returns an inline upload with its renditions, and stores the original under its content hash', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture();
  const { outcome, image, jobId } = await rig.upload(bytes);
  expect(outcome).toBe('new');
  expect(jobId).toBeGreaterThan(0);
  expect(image).toMatchObject({
    status: 'completed',
    tenant: 'shop',
    filename: 'vase.jpg',
    width: 160,
    height: 120,
  });
  expect(image.renditions.map(({ preset }) => preset)).toEqual(['thumb', 'card']);
  expect(image.originalKey).toBe(originalKey(image.tenantId, sha256Hex(bytes)));
  expect(await rig.storage.readAll(image.originalKey!)).toEqual(bytes);
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('returns a queued upload immediately, and wakes a worker', async () => {
  const rig = await makeRig(resources);
  const wakes = countWakes(rig.queue);
  const { outcome, image, jobId } = await rig.upload(await makeUniquePicture(), queuedMode);
  expect({ outcome, status: image.status, renditions: image.renditions, wakes }).toEqual({
    outcome: 'new',
    status: 'pending',
    renditions: [],
    wakes: { count: 1 },
  });
  expect(await claimOne(database)).toMatchObject({ id: jobId, imageId: image.id });
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('gives inline uploads a higher priority than queued uploads', async () => {
  const rig = await makeRig(resources, { inlineMs: 0 });
  await rig.upload(await makeUniquePicture(), queuedMode);
  const { image } = await rig.upload(await makeUniquePicture());
  const priorities = await selectRow<{ inline: number; queued: number }>(
    database,
    'SELECT min(priority) AS inline, max(priority) AS queued FROM jobs',
  );
  expect(priorities.inline).toBeLessThan(priorities.queued);
  await rig.waitForImage(image.id, 10_000);
});

test('returns the existing image for known bytes, regardless of the filename and mode', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture();
  const { image } = await rig.upload(bytes);
  for (const mode of ['inline', 'queued'] as const) {
    const upload = await rig.upload(bytes, { filename: 'other.jpg', mode });
    expect(upload).toEqual({ outcome: 'known', image, jobId: undefined });
  }
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
  expect(await readdir(rig.staging.directory)).toEqual([]);
});

test('creates one image for forty concurrent uploads of the same bytes', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture('slow');
  const uploads = await Promise.all(Array.from({ length: 40 }, () => rig.upload(bytes)));
  expect(uploads.filter(({ outcome }) => outcome === 'new')).toHaveLength(1);
  for (const { image } of uploads) {
    expect(image.id).toBe(uploads[0]?.image.id);
    expect(image.status).toBe('completed');
    expect(image.renditions).toHaveLength(2);
  }
  expect(await countRows()).toEqual({ images: 1, jobs: 1 });
  expect(await rig.storedKeys()).toHaveLength(3);
});

test('creates separate images and files if two tenants upload the same bytes', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture();
  const [ownUpload, otherUpload] = [
    await rig.upload(bytes),
    await rig.upload(bytes, { tenantName: 'other' }),
  ];
  expect(otherUpload.outcome).toBe('new');
  expect(otherUpload.image.id).not.toBe(ownUpload.image.id);
  expect(await rig.storedKeys()).toHaveLength(6);
});

test('creates a new image for the bytes of a deleted image', async () => {
  const rig = await makeRig(resources);
  const bytes = await makeUniquePicture();
  const firstUpload = await rig.upload(bytes);
  await rig.softDelete({ id: firstUpload.image.id });
  const secondUpload = await rig.upload(bytes);
  expect(secondUpload).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
  expect(secondUpload.image.id).not.toBe(firstUpload.image.id);
});

test('creates a new image if the existing image is deleted during the upload', async () => {
  const rig = await makeRig(resources, {
    replaceQueries: (queries) => ({
      ...queries,
      images: {
        ...queries.images,
        async findByContent(tenantId, contentHash) {
          const existingImage = await queries.images.findByContent(tenantId, contentHash);
          if (existingImage)
            await queries.deletion.softDelete(unrestrictedPrincipal, { id: existingImage.id }, false);
          return existingImage;
        },
      },
    }),
  });
  const bytes = await makeUniquePicture();
  const firstUpload = await rig.upload(bytes);
  const secondUpload = await rig.upload(bytes);
  expect(secondUpload).toMatchObject({ outcome: 'new', image: { status: 'completed' } });
  expect(secondUpload.image.id).not.toBe(firstUpload.image.id);
});

test('returns an unfinished image when an inline upload reaches its time limit, and completes the image afterwards', async () => {
  const rig = await makeRig(resources, { inlineMs: 100 });
  const { image } = await rig.upload(await makeUniquePicture('slow'));
  expect(image).toMatchObject({ status: 'processing', renditions: [] });
  await expect.poll(async () => (await rig.image(image.id))?.status).toBe('completed');
});

test('rejects an invalid tenant name, and stores nothing', async () => {
  const rig = await makeRig(resources);
  for (const tenantName of ['', '../etc', 'ä', 'x'.repeat(65)]) {
    await expect(rig.upload(await makeUniquePicture(), { tenantName })).rejects.toMatchObject({
      code: 'invalid_tenant',
      status: 400,
    });
  }
  expect(await countRows()).toEqual({ images: 0, jobs: 0 });
  expect(await readdir(rig.staging.directory)).toEqual([]);
  expect(existsSync(rig.filePath('originals'))).toBe(false);
});
