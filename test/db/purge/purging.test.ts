import { systemPrincipal } from '../../../src/model/principal.ts';
import { expect, test } from 'vitest';
import type { RemovedImage } from '../../../src/db/purge/purging.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { sha256Hex, makeUpload } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
// A near-duplicate (the sharer) can reuse the renditions of an older image (the donor).
const {
  add,
  addCopy,
  addSharer,
  upload,
  softDelete,
  restore,
  purge,
  findPurgeCandidate,
  purging,
  makeRenditions,
} = catalog;
const tomorrow = new Date(Date.now() + 86_400_000);

const makeOriginalKey = (content: string) => makeUpload(shop.id, content).originalKey;
const listRenditionKeys = (content: string) => makeRenditions(content).map(({ storageKey }) => storageKey);
const listRemovedKeys = (removedImage: RemovedImage | undefined) =>
  removedImage?.files.map(({ key }) => key).toSorted();
const listExpectedKeys = (content: string) =>
  [makeOriginalKey(content), ...listRenditionKeys(content)].toSorted();

test('removes the rows of an image and returns its files with their sizes', async () => {
  const id = await add('vase');
  const removedImage = await purge(id);
  expect(removedImage).toEqual({ renditions: 2, files: expect.any(Array) as unknown });
  expect(removedImage?.files).toHaveLength(3);
  expect(removedImage?.files).toContainEqual({ key: makeOriginalKey('vase'), bytes: 1000 });
  expect(listRemovedKeys(removedImage)).toEqual(listExpectedKeys('vase'));
  expect(
    await selectRow(
      database,
      'SELECT (SELECT count(*) FROM images) AS images, (SELECT count(*) FROM renditions) AS renditions',
    ),
  ).toEqual({ images: 0, renditions: 0 });
});

test('keeps an image that has changed since it was listed for the purge', async () => {
  const changes = {
    used: (id: number) => catalog.references.add(systemPrincipal, id, 'page'),
    requeued: (id: number) => catalog.jobs.requeue(id, 50),
    deleted: (id: number) => softDelete(id),
  };
  for (const [name, change] of Object.entries(changes)) {
    const id = await add(name);
    const candidate = await findPurgeCandidate(id);
    await change(id);
    expect(
      await purging.remove(systemPrincipal, candidate!, { unusedWithMinAgeDays: 0 }),
      name,
    ).toBeUndefined();
  }
  const restoredId = await add('restored');
  await softDelete(restoredId);
  const candidate = await findPurgeCandidate(restoredId);
  await restore(restoredId);
  expect(await purging.remove(systemPrincipal, candidate!, { deletedBefore: tomorrow })).toBeUndefined();
  const recentId = await add('recently deleted');
  await softDelete(recentId);
  const recentCandidate = await findPurgeCandidate(recentId);
  const cutoff = new Date(Date.now() - 60_000);
  expect(await purging.remove(systemPrincipal, recentCandidate!, { deletedBefore: cutoff })).toBeUndefined();
  expect((await selectRows(database, 'SELECT id FROM images')).length).toBe(5);
});

test('keeps a deleted image until its job ends', async () => {
  const job = await upload('vase');
  await softDelete(job.imageId);
  expect(await purge(job.imageId)).toBeUndefined();
  await catalog.finish(job, 'vase');
  expect(listRemovedKeys(await purge(job.imageId))).toEqual(listExpectedKeys('vase'));
});

test('keeps the files of duplicates until the last duplicate is purged', async () => {
  const ids = [await add('vase'), await addCopy('vase'), await addCopy('vase')];
  expect(await purge(ids[0]!)).toEqual({ renditions: 2, files: [] });
  expect((await catalog.image(ids[1]!))?.duplicateOf).toBeNull();
  await softDelete(ids[1]!);
  expect(await purge(ids[2]!)).toEqual({ renditions: 2, files: [] });
  expect(listRemovedKeys(await purge(ids[1]!))).toEqual(listExpectedKeys('vase'));
});

test('removes the original of a purged image, but keeps the renditions that a near-duplicate reuses', async () => {
  const donorId = await add('vase');
  const sharerId = await addSharer('jugs', donorId);
  expect(listRemovedKeys(await purge(donorId))).toEqual([makeOriginalKey('vase')]);
  const remainingImage = await catalog.image(sharerId);
  expect(remainingImage).toMatchObject({ renditionsReusedFrom: null });
  expect(remainingImage?.renditions.map(({ storageKey }) => storageKey)).toEqual(
    listRenditionKeys('vase').toSorted(),
  );
  expect(listRemovedKeys(await purge(sharerId))).toEqual(
    [makeOriginalKey('jugs'), ...listRenditionKeys('vase')].toSorted(),
  );
});

test('removes the files of an image regardless of other tenants’ images with the same content', async () => {
  const otherCatalog = makeCatalog(database, (await makeTenantQueries(database).ensure('other')).id);
  await otherCatalog.add('vase');
  expect(listRemovedKeys(await purge(await add('vase')))).toEqual(listExpectedKeys('vase'));
});

test('removes a fingerprint and an embedding when the last image with their content is purged, and a near-duplicate pair when either of its images is purged', async () => {
  const countFingerprintsAndEmbeddings = async () => [
    (await selectRows(database, `SELECT 1 FROM fingerprints WHERE content_hash = '${sha256Hex('vase')}'`))
      .length,
    (await selectRows(database, `SELECT 1 FROM embeddings WHERE content_hash = '${sha256Hex('vase')}'`))
      .length,
  ];
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  const lampId = await add('lamp');
  await database.runScript(`
    INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
    VALUES (${copyId}, ${firstId}, 1, 1, 'alike'), (${lampId}, ${firstId}, 1, 1, 'alike')`);
  await purge(firstId);
  expect(await countFingerprintsAndEmbeddings()).toEqual([1, 1]);
  expect(await selectRows(database, 'SELECT 1 FROM near_duplicates')).toEqual([]);
  await softDelete(copyId);
  expect(await countFingerprintsAndEmbeddings()).toEqual([1, 1]);
  await purge(copyId);
  expect(await countFingerprintsAndEmbeddings()).toEqual([0, 0]);
  expect(await selectRows(database, 'SELECT 1 FROM fingerprints')).toHaveLength(1);
});

test('keeps the failed jobs of a purged image for diagnosis', async () => {
  const job = await upload('poison');
  await catalog.fail(job);
  await purge(job.imageId);
  expect(await selectRows(database, 'SELECT id, image_id FROM poison_jobs')).toEqual([
    { id: job.id, image_id: null },
  ]);
});

test('promotes the oldest duplicate when the image that it duplicates is purged', async () => {
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  await purge(firstId);
  expect((await catalog.images.findByContent(shop.id, sha256Hex('vase')))?.id).toBe(copyId);
  await expect(upload('vase')).rejects.toThrow('vase is already known');
});
