import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPrincipal } from '../../../src/model/principal.ts';
import { rowsOf } from '../../support/inner/database.ts';
import { claimOne } from '../../support/inner/jobs.ts';
import { uniquePicture, productPicture } from '../../support/inner/pictures.ts';
import { useEngines } from '../../support/inner/rig.ts';
import { makePurges } from './setup.ts';

const engines = await useEngines();
const real = { dryRun: false, days: 0 };
const rowIds = async () =>
  (await rowsOf<{ id: number }>(engines.database, 'SELECT id FROM images ORDER BY id')).map(({ id }) => id);
const bytesOf = (image: { originalBytes: number | null; renditions: readonly { bytes: number }[] }) =>
  image.renditions.reduce((sum, made) => sum + made.bytes, image.originalBytes ?? 0);

test('reports what a purge would remove in a dry run, without removing anything', async () => {
  const { rig, purgeDeleted, add } = await makePurges(engines);
  const [gone, living] = [await add(), await add()];
  await rig.softDelete({ id: gone.id });
  const stored = await rig.storedKeys();
  const report = await purgeDeleted(openPrincipal, { dryRun: true, days: 0 });
  expect(report).toMatchObject({
    dryRun: true,
    imagesToDelete: 1,
    renditionsToDelete: 2,
    renditionsFound: 4,
    bytesToDelete: bytesOf(gone),
    bytes: 0,
    images: 0,
    files: 0,
    remaining: 0,
  });
  expect(Math.abs(Date.now() - report.cutoff.getTime())).toBeLessThan(60_000);
  expect(await rowIds()).toEqual([gone.id, living.id]);
  expect(await rig.storedKeys()).toEqual(stored);
});

test('removes what the dry run reported, and keeps images that are not deleted', async () => {
  const { rig, purgeDeleted, retrieve, add } = await makePurges(engines);
  const [gone, living] = [await add(), await add()];
  await rig.softDelete({ id: gone.id });
  const told = await purgeDeleted(openPrincipal, { dryRun: true, days: 0 });
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({
    dryRun: false,
    imagesToDelete: 1,
    images: 1,
    renditions: told.renditionsToDelete,
    files: 3,
    bytes: told.bytesToDelete,
    errors: [],
    remaining: 0,
  });
  expect(await rowIds()).toEqual([living.id]);
  expect(await rig.storedKeys()).toHaveLength(3);
  expect(await retrieve.rendition(openPrincipal, { id: living.id }, 'thumb')).toHaveProperty('body');
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ imagesToDelete: 0, images: 0, bytes: 0 });
});

test('keeps images that were deleted too recently, and they can be restored', async () => {
  const { rig, purgeDeleted, add } = await makePurges(engines);
  const [old, young] = [await add(), await add()];
  for (const { id } of [old, young]) await rig.softDelete({ id });
  await engines.database.runScript(
    `UPDATE images SET deleted_at = date_trunc('milliseconds', now()) - interval '31 days' WHERE id = ${old.id}`,
  );
  expect(await purgeDeleted(openPrincipal, { dryRun: false, days: 30 })).toMatchObject({ images: 1 });
  expect(await rowIds()).toEqual([young.id]);
  expect(await rig.deletion.restore(openPrincipal, { id: young.id })).toBe(true);
  expect(await rig.image(young.id)).toMatchObject({ renditions: young.renditions });
});

test('purges an image in use that was deleted by force', async () => {
  const { rig, purgeDeleted, add } = await makePurges(engines);
  const { id } = await add();
  await rig.references.add(id, 'page');
  await rig.softDelete({ id }, true);
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ images: 1, files: 3 });
  expect(await rowsOf(engines.database, 'SELECT 1 FROM image_references')).toEqual([]);
});

test('keeps a deleted image until its job has ended', async () => {
  const { rig, purgeDeleted } = await makePurges(engines);
  const { image } = await rig.upload(await uniquePicture(), { mode: 'queued' });
  await rig.softDelete({ id: image.id });
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ imagesToDelete: 1, images: 0, files: 0 });
  await rig.runJob(await claimOne(engines.database));
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ images: 1, renditions: 2, files: 3 });
  expect(await rig.storedKeys()).toEqual([]);
});

test('keeps files that another image shares until that image is purged, too', async () => {
  const { rig, purgeDeleted, retrieve } = await makePurges(engines);
  const donor = (await rig.upload(await productPicture())).image;
  const sharer = (await rig.upload(await productPicture({ quality: 60 }))).image;
  expect(sharer.renditionsReusedFrom).toBe(donor.id);
  await rig.softDelete({ id: donor.id });
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({
    images: 1,
    renditions: 2,
    files: 1,
    bytes: donor.originalBytes,
  });
  for (const { name } of rig.presets) {
    const found = await retrieve.rendition(openPrincipal, { id: sharer.id }, name);
    expect('body' in found && found.body.length).toBeGreaterThan(0);
  }
  await rig.softDelete({ id: sharer.id });
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ files: 3 });
  expect(await rig.storedKeys()).toEqual([]);
});

test('keeps the files of content that was uploaded again after the deletion', async () => {
  const { rig, purgeDeleted } = await makePurges(engines);
  const bytes = await uniquePicture();
  await rig.softDelete({ id: (await rig.upload(bytes)).image.id });
  const { image } = await rig.upload(bytes);
  expect(await purgeDeleted(openPrincipal, real)).toMatchObject({ images: 1, files: 0, bytes: 0 });
  expect(await rig.storage.readAll(image.originalKey!)).toEqual(bytes);
  expect(await rig.storedKeys()).toHaveLength(3);
});

test("purges and counts only images of the caller's tenant", async () => {
  const { rig, purgeDeleted, add } = await makePurges(engines);
  const [mine, theirs] = [await add(), await add('other')];
  for (const { id } of [mine, theirs]) await rig.softDelete({ id });
  const bound = { ...openPrincipal, tenantId: mine.tenantId };
  expect(await purgeDeleted(bound, real)).toMatchObject({ imagesToDelete: 1, renditionsFound: 2, images: 1 });
  expect(await rowIds()).toEqual([theirs.id]);
});

test('reports a file that cannot be removed, and continues', async () => {
  const { rig, purgeDeleted, add } = await makePurges(engines);
  const [stuck, fine] = [await add(), await add()];
  for (const { id } of [stuck, fine]) await rig.softDelete({ id });
  const path = rig.pathOf(stuck.renditions[0]!.storageKey);
  await rm(path);
  await mkdir(join(path, 'not empty'), { recursive: true });
  const report = await purgeDeleted(openPrincipal, real);
  expect(report).toMatchObject({ images: 2, files: 5, remaining: 0 });
  expect(report.errors).toEqual([expect.stringContaining(stuck.renditions[0]!.storageKey)]);
  expect(await rowIds()).toEqual([]);
});
