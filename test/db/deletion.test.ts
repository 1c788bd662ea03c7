import { expect, test } from 'vitest';
import { makeTenantQueries } from '../../src/db/tenants.ts';
import { openPrincipal } from '../../src/model/principal.ts';
import { makeCatalog } from '../support/inner/catalog.ts';
import { useDatabase } from '../support/inner/database.ts';
import { hashOf } from '../support/inner/records.ts';

const database = await useDatabase();
const shop = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, shop.id);
const { add, upload, hide, restore, purge, image, references } = catalog;
const stranger = { ...openPrincipal, tenantId: 999_999 };

/** An image that an import brought, with the content of another one. */
async function addCopy(content: string, url = content): Promise<number> {
  const job = await catalog.beginImport(`https://example.com/${url}`);
  await catalog.shareKnown(job, content);
  return job.imageId;
}

const firstOf = async (id: number) => (await image(id))?.duplicateOf;

test('an image in use is not hidden, and whoever asks is told who uses it', async () => {
  const id = await add('vase');
  for (const reference of ['page 2', 'cart', 'page 1']) await references.add(id, reference);
  expect(await hide(id)).toMatchObject({
    outcome: 'in-use',
    image: { id, inUseCount: 3 },
    references: ['cart', 'page 1', 'page 2'],
  });
  expect(await image(id)).toMatchObject({ id, inUseCount: 3 });
});

test('no more than a hundred of an image’s users are named', async () => {
  const id = await add('vase');
  await database.runScript(`
    INSERT INTO image_references (image_id, reference) SELECT ${id}, 'page ' || n FROM generate_series(1, 101) n;
    UPDATE images SET in_use_count = 101 WHERE id = ${id}`);
  const answer = await hide(id);
  expect(answer.outcome === 'in-use' && answer.references).toHaveLength(100);
});

test('an image in use is hidden by force, and keeps its references for when it comes back', async () => {
  const id = await add('vase');
  await references.add(id, 'page');
  expect(await hide(id, true)).toMatchObject({ outcome: 'deleted', image: { id } });
  expect(await image(id)).toBeUndefined();
  expect(await references.add(id, 'another page')).toBeUndefined();
  expect(await references.remove(id, 'page')).toBeUndefined();
  await restore(id);
  expect(await hide(id)).toMatchObject({ outcome: 'in-use', references: ['page'] });
});

test('an image whose last user has gone is hidden without force', async () => {
  const id = await add('vase');
  await references.add(id, 'page');
  await references.remove(id, 'page');
  expect(await hide(id)).toMatchObject({ outcome: 'deleted' });
});

test('a restored image is as it was, with its renditions', async () => {
  const id = await add('vase');
  const before = await image(id);
  await hide(id);
  expect(await restore(id)).toBe(true);
  const { updatedAt: _then, ...was } = before!;
  expect(await image(id)).toMatchObject(was);
});

test('restoring an image that lives changes nothing', async () => {
  const id = await add('vase');
  const before = await image(id);
  expect(await restore(id)).toBe(true);
  expect(await image(id)).toEqual(before);
});

test('an image that was purged, never was or belongs to others cannot be restored', async () => {
  const gone = await add('vase');
  await hide(gone);
  await purge(gone);
  expect(await restore(gone)).toBe(false);
  expect(await restore(424_242)).toBe(false);
  const foreign = await add('lamp');
  await hide(foreign);
  expect(await catalog.deletion.restore(stranger, { id: foreign })).toBe(false);
  expect(await image(foreign)).toBeUndefined();
});

test('an image whose content was uploaded meanwhile comes back as a duplicate of the new one', async () => {
  const old = await add('vase');
  await hide(old);
  const { imageId } = await upload('vase');
  expect(await restore(old)).toBe(true);
  expect(await image(old)).toMatchObject({ duplicateOf: imageId, status: 'completed' });
  expect((await catalog.images.findByContent(shop.id, hashOf('vase')))?.id).toBe(imageId);
});

test('of two deleted images with one content, the one that comes back first is the first image', async () => {
  const one = await add('vase');
  await hide(one);
  const two = await add('vase');
  await hide(two);
  await restore(two);
  await restore(one);
  expect([await firstOf(two), await firstOf(one)]).toEqual([null, two]);
});

test('when the first image of a content goes, its oldest copy takes its place for all the others', async () => {
  const first = await add('vase');
  const copies = [await addCopy('vase', 'a'), await addCopy('vase', 'b'), await addCopy('vase', 'c')];
  const [heir, second, third] = copies as [number, number, number];
  await hide(first);
  expect(await Promise.all(copies.map(firstOf))).toEqual([null, heir, heir]);
  await hide(heir);
  expect([await firstOf(second), await firstOf(third)]).toEqual([null, second]);
  await restore(first);
  expect(await firstOf(first)).toBe(second);
  await restore(heir);
  expect(await firstOf(heir)).toBe(second);
});

test('a copy that goes leaves the first image as it is, and a deleted copy inherits nothing', async () => {
  const first = await add('vase');
  const [gone, kept] = [await addCopy('vase', 'a'), await addCopy('vase', 'b')];
  await hide(gone);
  expect([await firstOf(first), await firstOf(kept)]).toEqual([null, first]);
  await hide(first);
  expect(await firstOf(kept)).toBeNull();
  await restore(gone);
  expect(await firstOf(gone)).toBe(kept);
});

test('a copy that takes the place of the first is found by its content, and the first can be uploaded no more', async () => {
  const first = await add('vase');
  const copy = await addCopy('vase');
  await hide(first);
  expect((await catalog.images.findByContent(shop.id, hashOf('vase')))?.id).toBe(copy);
  await expect(upload('vase')).rejects.toThrow('vase is known');
});

test('twenty deletions and restorations at once never leave two first images of one content', async () => {
  const ids = [await add('vase')];
  for (const url of ['a', 'b', 'c']) ids.push(await addCopy('vase', url));
  const acts = Array.from({ length: 20 }, (_, n) => (n % 2 === 0 ? hide : restore)(ids[n % 4]!));
  await expect(Promise.all(acts)).resolves.toHaveLength(20);
  const left = await Promise.all(ids.map(image));
  const living = left.filter((found) => found !== undefined);
  expect(living.length).toBeGreaterThan(0);
  expect(living.filter(({ duplicateOf }) => duplicateOf === null)).toHaveLength(1);
});
