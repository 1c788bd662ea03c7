import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { selectRows } from '../../support/inner/database.ts';
import { claimOne } from '../../support/inner/jobs.ts';
import { makeUniquePicture, drawProduct } from '../../support/inner/pictures.ts';
import { useTestResources } from '../../support/inner/rig.ts';
import { makePurgeRig } from './setup.ts';

const resources = await useTestResources();
const purgeRequest = { dryRun: false, days: 0 };
const listImageIds = async () =>
  (await selectRows<{ id: number }>(resources.database, 'SELECT id FROM images ORDER BY id')).map(
    ({ id }) => id,
  );
const countBytes = (image: { originalBytes: number | null; renditions: readonly { bytes: number }[] }) =>
  image.renditions.reduce((sum, rendition) => sum + rendition.bytes, image.originalBytes ?? 0);

test('reports in a dry run what a purge would remove, without removing anything', async () => {
  const { rig, purgeDeleted, add } = await makePurgeRig(resources);
  const [deletedImage, keptImage] = [await add(), await add()];
  await rig.softDelete({ id: deletedImage.id });
  const storedKeys = await rig.storedKeys();
  const report = await purgeDeleted(unrestrictedPrincipal, { dryRun: true, days: 0 });
  expect(report).toMatchObject({
    dryRun: true,
    imagesToDelete: 1,
    renditionsToDelete: 2,
    renditionsFound: 4,
    bytesToDelete: countBytes(deletedImage),
    bytes: 0,
    images: 0,
    files: 0,
    remaining: 0,
  });
  expect(Math.abs(Date.now() - report.cutoff.getTime())).toBeLessThan(60_000);
  expect(await listImageIds()).toEqual([deletedImage.id, keptImage.id]);
  expect(await rig.storedKeys()).toEqual(storedKeys);
});

test('removes what the dry run reported, and keeps all other images', async () => {
  const { rig, purgeDeleted, retrieve, add } = await makePurgeRig(resources);
  const [deletedImage, keptImage] = [await add(), await add()];
  await rig.softDelete({ id: deletedImage.id });
  const dryRunReport = await purgeDeleted(unrestrictedPrincipal, { dryRun: true, days: 0 });
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    dryRun: false,
    imagesToDelete: 1,
    images: 1,
    renditions: dryRunReport.renditionsToDelete,
    files: 3,
    bytes: dryRunReport.bytesToDelete,
    errors: [],
    remaining: 0,
  });
  expect(await listImageIds()).toEqual([keptImage.id]);
  expect(await rig.storedKeys()).toHaveLength(3);
  expect(await retrieve.rendition(unrestrictedPrincipal, { id: keptImage.id }, 'thumb')).toHaveProperty(
    'body',
  );
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    imagesToDelete: 0,
    images: 0,
    bytes: 0,
  });
});

test('keeps recently deleted images, so that they can be restored', async () => {
  const { rig, purgeDeleted, add } = await makePurgeRig(resources);
  const [oldImage, recentImage] = [await add(), await add()];
  for (const { id } of [oldImage, recentImage]) await rig.softDelete({ id });
  await resources.database.runScript(
    `UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '31 days' WHERE id = ${oldImage.id}`,
  );
  expect(await purgeDeleted(unrestrictedPrincipal, { dryRun: false, days: 30 })).toMatchObject({ images: 1 });
  expect(await listImageIds()).toEqual([recentImage.id]);
  expect(await rig.deletion.restore(unrestrictedPrincipal, { id: recentImage.id })).toBe(true);
  expect(await rig.image(recentImage.id)).toMatchObject({ renditions: recentImage.renditions });
});

test('purges an image that was force-deleted while in use', async () => {
  const { rig, purgeDeleted, add } = await makePurgeRig(resources);
  const { id } = await add();
  await rig.references.add(systemPrincipal, id, 'page');
  await rig.softDelete({ id }, true);
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({ images: 1, files: 3 });
  expect(await selectRows(resources.database, 'SELECT 1 FROM image_references')).toEqual([]);
});

test('keeps a deleted image until its job ends', async () => {
  const { rig, purgeDeleted } = await makePurgeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await rig.softDelete({ id: image.id });
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    imagesToDelete: 1,
    images: 0,
    files: 0,
  });
  await rig.runJob(await claimOne(resources.database));
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    images: 1,
    renditions: 2,
    files: 3,
  });
  expect(await rig.storedKeys()).toEqual([]);
});

test('keeps shared files until the last image that uses them is purged', async () => {
  const { rig, purgeDeleted, retrieve } = await makePurgeRig(resources);
  // The second upload is a near-duplicate (the sharer) that reuses the renditions of the first image (the donor).
  const donor = (await rig.upload(await drawProduct())).image;
  const sharer = (await rig.upload(await drawProduct({ quality: 60 }))).image;
  expect(sharer.renditionsReusedFrom).toBe(donor.id);
  await rig.softDelete({ id: donor.id });
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    images: 1,
    renditions: 2,
    files: 1,
    bytes: donor.originalBytes,
  });
  for (const { name } of rig.presets) {
    const rendition = await retrieve.rendition(unrestrictedPrincipal, { id: sharer.id }, name);
    expect('body' in rendition && rendition.body.length).toBeGreaterThan(0);
  }
  await rig.softDelete({ id: sharer.id });
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({ files: 3 });
  expect(await rig.storedKeys()).toEqual([]);
});

test('keeps files whose content was uploaded again after the deletion', async () => {
  const { rig, purgeDeleted } = await makePurgeRig(resources);
  const bytes = await makeUniquePicture();
  await rig.softDelete({ id: (await rig.upload(bytes)).image.id });
  const { image } = await rig.upload(bytes);
  expect(await purgeDeleted(unrestrictedPrincipal, purgeRequest)).toMatchObject({
    images: 1,
    files: 0,
    bytes: 0,
  });
  expect(await rig.storage.readAll(image.originalKey!)).toEqual(bytes);
  expect(await rig.storedKeys()).toHaveLength(3);
});

test("purges and counts only images of the caller's tenant", async () => {
  const { rig, purgeDeleted, add } = await makePurgeRig(resources);
  const [ownImage, otherImage] = [await add(), await add('other')];
  for (const { id } of [ownImage, otherImage]) await rig.softDelete({ id });
  const shopPrincipal = {
    ...unrestrictedPrincipal,
    tenantId: ownImage.tenantId,
    tenantName: ownImage.tenant,
  };
  expect(await purgeDeleted(shopPrincipal, purgeRequest)).toMatchObject({
    imagesToDelete: 1,
    renditionsFound: 2,
    images: 1,
  });
  expect(await listImageIds()).toEqual([otherImage.id]);
});

test('reports a file that cannot be removed, and continues', async () => {
  const { rig, purgeDeleted, add } = await makePurgeRig(resources);
  const [unremovableImage, removableImage] = [await add(), await add()];
  for (const { id } of [unremovableImage, removableImage]) await rig.softDelete({ id });
  const path = rig.filePath(unremovableImage.renditions[0]!.storageKey);
  await rm(path);
  await mkdir(join(path, 'not empty'), { recursive: true });
  const report = await purgeDeleted(unrestrictedPrincipal, purgeRequest);
  expect(report).toMatchObject({ images: 2, files: 5, remaining: 0 });
  expect(report.errors).toEqual([expect.stringContaining(unremovableImage.renditions[0]!.storageKey)]);
  expect(await listImageIds()).toEqual([]);
});
