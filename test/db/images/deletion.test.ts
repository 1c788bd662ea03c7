import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { unrestrictedPrincipal, systemPrincipal } from '../../../src/model/principal.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { sha256Hex } from '../../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { add, upload, softDelete, restore, purge, image, references } = catalog;
const otherPrincipal = { ...unrestrictedPrincipal, tenantId: 999_999 };

/** Imports a duplicate of the image with the given content. */
async function addCopy(content: string, path = content): Promise<number> {
  const job = await catalog.claimImport(`https://example.com/${path}`);
  await catalog.completeAsDuplicate(job, content);
  return job.imageId;
}

const findDuplicateOf = async (id: number) => (await image(id))?.duplicateOf;

test('does not delete an image in use, and lists its references', async () => {
  const id = await add('vase');
  for (const reference of ['page 2', 'cart', 'page 1']) await references.add(systemPrincipal, id, reference);
  expect(await softDelete(id)).toMatchObject({
    outcome: 'in-use',
    image: { id, inUseCount: 3 },
    references: ['cart', 'page 1', 'page 2'],
  });
  expect(await image(id)).toMatchObject({ id, inUseCount: 3 });
});

test('lists at most a hundred references of an image in use', async () => {
  const id = await add('vase');
  await database.runScript(`
    INSERT INTO image_references (image_id, reference) SELECT ${id}, 'page ' || n FROM generate_series(1, 101) n;
    UPDATE images SET in_use_count = 101 WHERE id = ${id}`);
  const result = await softDelete(id);
  expect(result.outcome === 'in-use' && result.references).toHaveLength(100);
});

test('force-deletes an image in use, and keeps its references for a later restoration', async () => {
  const id = await add('vase');
  await references.add(systemPrincipal, id, 'page');
  expect(await softDelete(id, true)).toMatchObject({ outcome: 'deleted', image: { id } });
  expect(await image(id)).toBeUndefined();
  expect(await references.add(systemPrincipal, id, 'another page')).toBeUndefined();
  expect(await references.remove(systemPrincipal, id, 'page')).toBeUndefined();
  await restore(id);
  expect(await softDelete(id)).toMatchObject({ outcome: 'in-use', references: ['page'] });
});

test('deletes an image without force after its last reference is removed', async () => {
  const id = await add('vase');
  await references.add(systemPrincipal, id, 'page');
  await references.remove(systemPrincipal, id, 'page');
  expect(await softDelete(id)).toMatchObject({ outcome: 'deleted' });
});

test('restores an image with its renditions', async () => {
  const id = await add('vase');
  const imageBefore = await image(id);
  await softDelete(id);
  expect(await restore(id)).toBe(true);
  const { updatedAt: _updatedAt, ...unchangedFields } = imageBefore!;
  expect(await image(id)).toMatchObject(unchangedFields);
});

test('changes nothing when restoring an image that is not deleted', async () => {
  const id = await add('vase');
  const imageBefore = await image(id);
  expect(await restore(id)).toBe(true);
  expect(await image(id)).toEqual(imageBefore);
});

test('does not restore an image that has been purged, is unknown or belongs to another tenant', async () => {
  const deletedId = await add('vase');
  await softDelete(deletedId);
  await purge(deletedId);
  expect(await restore(deletedId)).toBe(false);
  expect(await restore(424_242)).toBe(false);
  const lampId = await add('lamp');
  await softDelete(lampId);
  expect(await catalog.deletion.restore(otherPrincipal, { id: lampId })).toBe(false);
  expect(await image(lampId)).toBeUndefined();
});

test('restores an image as a duplicate if its content has been uploaded again', async () => {
  const oldId = await add('vase');
  await softDelete(oldId);
  const { imageId } = await upload('vase');
  expect(await restore(oldId)).toBe(true);
  expect(await image(oldId)).toMatchObject({ duplicateOf: imageId, status: 'completed' });
  expect((await catalog.images.findByContent(shop.id, sha256Hex('vase')))?.id).toBe(imageId);
});

test('marks the image that is restored second as the duplicate', async () => {
  const firstId = await add('vase');
  await softDelete(firstId);
  const secondId = await add('vase');
  await softDelete(secondId);
  await restore(secondId);
  await restore(firstId);
  expect([await findDuplicateOf(secondId), await findDuplicateOf(firstId)]).toEqual([null, secondId]);
});

test('promotes the oldest duplicate when the image that it duplicates is deleted', async () => {
  const firstId = await add('vase');
  const copyIds = [await addCopy('vase', 'a'), await addCopy('vase', 'b'), await addCopy('vase', 'c')];
  const [oldestId, secondId, thirdId] = copyIds as [number, number, number];
  await softDelete(firstId);
  expect(await Promise.all(copyIds.map(findDuplicateOf))).toEqual([null, oldestId, oldestId]);
  await softDelete(oldestId);
  expect([await findDuplicateOf(secondId), await findDuplicateOf(thirdId)]).toEqual([null, secondId]);
  await restore(firstId);
  expect(await findDuplicateOf(firstId)).toBe(secondId);
  await restore(oldestId);
  expect(await findDuplicateOf(oldestId)).toBe(secondId);
});

test('leaves an image unchanged when its duplicate is deleted, and does not promote deleted duplicates', async () => {
  const firstId = await add('vase');
  const [deletedId, keptId] = [await addCopy('vase', 'a'), await addCopy('vase', 'b')];
  await softDelete(deletedId);
  expect([await findDuplicateOf(firstId), await findDuplicateOf(keptId)]).toEqual([null, firstId]);
  await softDelete(firstId);
  expect(await findDuplicateOf(keptId)).toBeNull();
  await restore(deletedId);
  expect(await findDuplicateOf(deletedId)).toBe(keptId);
});

test('finds a promoted duplicate by its content', async () => {
  const firstId = await add('vase');
  const copyId = await addCopy('vase');
  await softDelete(firstId);
  expect((await catalog.images.findByContent(shop.id, sha256Hex('vase')))?.id).toBe(copyId);
  await expect(upload('vase')).rejects.toThrow('vase is already known');
});

test('leaves exactly one image that is not a duplicate after twenty concurrent deletions and restorations of the same content', async () => {
  const ids = [await add('vase')];
  for (const path of ['a', 'b', 'c']) ids.push(await addCopy('vase', path));
  const changes = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? softDelete : restore)(ids[n % 4]!));
  await expect(Promise.all(changes)).resolves.toHaveLength(20);
  const results = await Promise.all(ids.map(image));
  const remainingImages = results.filter((result) => result !== undefined);
  expect(remainingImages.length).toBeGreaterThan(0);
  expect(remainingImages.filter(({ duplicateOf }) => duplicateOf === null)).toHaveLength(1);
});
