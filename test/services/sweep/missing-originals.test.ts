import { readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { makeFindMissingOriginals } from '../../../src/services/sweep/stored-files.ts';
import { selectRow } from '../../support/inner/database.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();

test('reports missing and truncated originals, marks their images as damaged, and removes no rows', async () => {
  const rig = await makeRig(resources);
  const images = [];
  for (let i = 0; i < 3; i++) images.push((await rig.upload(await makeUniquePicture())).image);
  const [missingImage, truncatedImage, intactImage] = images;
  await rm(rig.filePath(missingImage!.originalKey!));
  await truncate(rig.filePath(truncatedImage!.originalKey!), 10);
  rig.logger.lines.length = 0;
  const findMissing = makeFindMissingOriginals({ ...rig, sweepLimit: { fraction: 0.05, count: 10_000 } });
  expect(await findMissing()).toBe(2);
  expect((await rig.image(missingImage!.id))?.damagedAt).toBeInstanceOf(Date);
  expect((await rig.image(truncatedImage!.id))?.damagedAt).toBeInstanceOf(Date);
  expect((await rig.image(intactImage!.id))?.damagedAt).toBeNull();
  expect(await selectRow(resources.database, 'SELECT count(*) FROM images')).toEqual({ count: 3 });
  expect(rig.logger.messages('error')).toEqual([
    `the original of image ${missingImage!.id} is missing; marked the image as damaged`,
    `the original of image ${truncatedImage!.id} has changed in size; marked the image as damaged`,
  ]);
  // Known damage is not reported again.
  expect(await findMissing()).toBe(0);
  expect(await rig.storage.stat(truncatedImage!.originalKey!)).toBeDefined();
});

test('clears an image’s damage mark when its original is restored, and logs the restoration once', async () => {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture());
  const path = rig.filePath(image.originalKey!);
  const bytes = await readFile(path);
  await rm(path);
  const findMissing = makeFindMissingOriginals({ ...rig, sweepLimit: { fraction: 0.05, count: 10_000 } });
  expect(await findMissing()).toBe(1);
  await writeFile(path, bytes);
  rig.logger.lines.length = 0;
  expect(await findMissing()).toBe(0);
  expect((await rig.image(image.id))?.damagedAt).toBeNull();
  expect(rig.logger.messages('info')).toEqual([
    `the original of image ${image.id} has been restored; the image is no longer marked as damaged`,
  ]);
  expect(await findMissing()).toBe(0);
  expect(rig.logger.messages('info')).toHaveLength(1);
});

test('checks several pages of rows', async () => {
  const rig = await makeRig(resources);
  await rig.upload(await makeUniquePicture(), { mode: 'queued' });
  await resources.database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, content_hash, original_key, original_bytes)
    SELECT gen_random_uuid(), tenant_id, 'completed', encode(sha256(n::text::bytea), 'hex'), 'originals/1/00/' || n, 1
    FROM images, generate_series(1, 1100) AS n`);
  const sweepLimit = { fraction: 1, count: 10_000 };
  expect(await makeFindMissingOriginals({ ...rig, sweepLimit })()).toBe(1100);
});

test('marks no images as damaged if storage is not mounted', async () => {
  const rig = await makeRig(resources);
  const images = [];
  for (let i = 0; i < 22; i++)
    images.push((await rig.upload(await makeUniquePicture(), { mode: 'queued' })).image);
  for (const { originalKey } of images) await rm(rig.filePath(originalKey!));
  rig.logger.lines.length = 0;
  await makeFindMissingOriginals({ ...rig, sweepLimit: { fraction: 0.05, count: 10_000 } })();
  expect((await rig.image(images[0]!.id))?.damagedAt).toBeNull();
  expect(rig.logger.messages('error')).toEqual([expect.stringContaining('no image was marked')]);
});
