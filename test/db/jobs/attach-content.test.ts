import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeDerivedFacts, sha256Hex, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const tenants = makeTenantQueries(database);
const shop = await tenants.ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { claimImport, attach, add, finish, softDelete } = catalog;
const claimVaseImport = () => claimImport('https://example.com/vase.jpg');
const selectImageRows = () => selectRows(database, 'SELECT * FROM images ORDER BY id');

test('records the content of an import for its next attempt', async () => {
  const job = await claimVaseImport();
  expect(await attach(job, 'vase')).toBe(true);
  expect(await catalog.image(job.imageId)).toMatchObject({
    contentHash: sha256Hex('vase'),
    originalKey: makeUpload(shop.id, 'vase').originalKey,
    originalBytes: 1000,
    filename: 'vase.jpg',
    width: 300,
    format: 'jpeg',
    duplicateOf: null,
    status: 'processing',
  });
  await catalog.jobs.handBack([job]);
  const [reclaimedJob] = await catalog.jobs.claimDue('import', 1, 60);
  expect(reclaimedJob?.original).toEqual({
    key: makeUpload(shop.id, 'vase').originalKey,
    contentHash: sha256Hex('vase'),
  });
});

test('records an image with known content as a duplicate', async () => {
  const firstId = await add('vase');
  const job = await claimVaseImport();
  await attach(job, 'vase');
  expect(await catalog.image(job.imageId)).toMatchObject({ duplicateOf: firstId });
  await finish(job, 'vase');
  expect((await catalog.images.findByContent(shop.id, sha256Hex('vase')))?.id).toBe(firstId);
});

test('does not mark an image as a duplicate of a deleted image or of another tenant’s image', async () => {
  await softDelete(await add('vase'));
  await makeCatalog(database, (await tenants.ensure('other')).id).add('vase');
  const job = await claimVaseImport();
  await attach(job, 'vase');
  expect(await catalog.image(job.imageId)).toMatchObject({ duplicateOf: null });
});

test('does not mark an image as a duplicate of itself when its content is attached twice', async () => {
  const job = await claimVaseImport();
  await attach(job, 'vase');
  await attach(job, 'vase');
  expect(await catalog.image(job.imageId)).toMatchObject({ duplicateOf: null });
});

test('turns ten concurrent imports of the same content into one image and nine duplicates of it', async () => {
  const jobs = [];
  for (let i = 0; i < 10; i++) jobs.push(await claimVaseImport());
  await Promise.all(jobs.map((job) => attach(job, 'vase')));
  const importedImages = await Promise.all(jobs.map(({ imageId }) => catalog.image(imageId)));
  const [first, ...otherFirstImages] = importedImages.filter((image) => image?.duplicateOf === null);
  expect(otherFirstImages).toEqual([]);
  expect(importedImages.filter((image) => image?.duplicateOf === first?.id)).toHaveLength(9);
});

test('neither attaches content nor completes an import as a duplicate after the lease is lost', async () => {
  await add('lamp');
  const staleJob = await claimVaseImport();
  await catalog.jobs.takeOverLostLeases(10, true);
  const [nextClaim] = await catalog.jobs.claimDue('import', 1, 60);
  const rowsBefore = await selectImageRows();
  expect(await attach(staleJob, 'vase')).toBe(false);
  expect(await catalog.completeAsDuplicate(staleJob, 'lamp')).toBeUndefined();
  expect(await selectImageRows()).toEqual(rowsBefore);
  expect(await attach(nextClaim!, 'vase')).toBe(true);
});

test('completes an import of known content with the metadata and renditions of the existing image', async () => {
  const firstId = await add('vase');
  const job = await claimVaseImport();
  const completedImage = await catalog.completeAsDuplicate(job, 'vase');
  const { renditions } = (await catalog.image(firstId))!;
  expect(completedImage).toMatchObject({
    id: job.imageId,
    status: 'completed',
    duplicateOf: firstId,
    contentHash: sha256Hex('vase'),
    width: 300,
    filename: 'vase.jpg',
    url: 'https://example.com/vase.jpg',
    renditionsReusedFrom: null,
  });
  expect(
    typeof completedImage === 'object' && completedImage.renditions.map(({ storageKey }) => storageKey),
  ).toEqual(renditions.map(({ storageKey }) => storageKey));
});

test('does not complete an import as a duplicate of an image that is deleted, damaged or unfinished', async () => {
  const changes = {
    deleted: softDelete,
    damaged: (id: number) => catalog.images.markDamaged(id),
    unfinished: (id: number) =>
      database.runScript(`UPDATE images SET status = 'processing' WHERE id = ${id}`),
  };
  for (const [content, change] of Object.entries(changes)) {
    await change(await add(content));
    expect(await catalog.completeAsDuplicate(await claimVaseImport(), content), content).toBe(
      'first-image-unavailable',
    );
  }
});

// A near-duplicate can reuse the renditions of an older image (the donor).
test('does not reuse the renditions of an image that has been deleted, or whose files have changed since the comparison', async () => {
  const donorId = await add('vase');
  const { jobs } = catalog;
  const job = await catalog.upload('jugs');
  const donorRenditions = (await catalog.image(donorId))!.renditions;
  for (const change of [{ preset: 'huge' }, { storageKey: 'renditions/1/aa/other' }, { contentHash: 'ff' }]) {
    const comparedRenditions = donorRenditions.map((rendition, index) =>
      index === 0 ? { ...rendition, ...change } : rendition,
    );
    expect(
      await jobs.completeWithSharedRenditions(job, donorId, comparedRenditions, makeDerivedFacts('jugs')),
    ).toBe('donor-unavailable');
  }
  await softDelete(donorId);
  expect(
    await jobs.completeWithSharedRenditions(job, donorId, donorRenditions, makeDerivedFacts('jugs')),
  ).toBe('donor-unavailable');
  expect(await catalog.image(job.imageId)).toMatchObject({ status: 'processing', renditions: [] });
});

test('reuses only the renditions that were compared', async () => {
  const donorId = await add('pots');
  const [firstRendition] = (await catalog.image(donorId))!.renditions;
  const job = await catalog.upload('pans');
  const completedImage = await catalog.jobs.completeWithSharedRenditions(
    job,
    donorId,
    [firstRendition!],
    makeDerivedFacts('pans'),
  );
  expect(completedImage).toMatchObject({
    renditionsReusedFrom: donorId,
    renditions: [{ preset: firstRendition!.preset }],
  });
});
