import { expect, test } from 'vitest';
import { unrestrictedPrincipal, systemPrincipal } from '../../src/model/principal.ts';
import { selectRow } from '../support/inner/database.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { makeRig, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const otherPrincipal = { ...unrestrictedPrincipal, tenantId: 999_999 };
const page = { limit: 50, offset: 0 };

/** Creates a test rig with one image and the services that manage its references. */
async function setUp() {
  const rig = await makeRig(resources);
  const { image } = await rig.upload(await makeUniquePicture());
  return {
    rig,
    image,
    ref: { id: image.id },
    references: rig.services.references,
    remove: rig.services.deleteImage,
    restore: rig.services.restoreImage,
  };
}

test('adds, counts, lists and removes references', async () => {
  const { rig, image, ref, references } = await setUp();
  expect(await references.add(unrestrictedPrincipal, ref, 'page 2')).toEqual({
    reference: 'page 2',
    added: true,
    count: 1,
  });
  expect(await references.add(unrestrictedPrincipal, { uuid: image.uuid }, 'page 1')).toMatchObject({
    added: true,
    count: 2,
  });
  expect(await references.add(unrestrictedPrincipal, ref, 'page 2')).toMatchObject({
    added: false,
    count: 2,
  });
  const firstPage = await references.list(unrestrictedPrincipal, ref, page);
  expect(firstPage).toMatchObject({
    items: [{ reference: 'page 1' }, { reference: 'page 2' }],
    total: 2,
    next: undefined,
  });
  expect(firstPage.items[0]?.createdAt).toBeInstanceOf(Date);
  expect((await rig.image(image.id))?.inUseCount).toBe(2);
  expect(await references.remove(unrestrictedPrincipal, ref, 'page 2')).toEqual({ count: 1 });
  expect(await references.remove(unrestrictedPrincipal, ref, 'page 2')).toEqual({ count: 1 });
});

test('treats all Unicode forms of a name as the same reference', async () => {
  const { rig, ref, references } = await setUp();
  const [composedName, decomposedName] = ['Küche-42', 'Ku\u0308che-42'];
  expect(await references.add(unrestrictedPrincipal, ref, decomposedName)).toMatchObject({
    reference: composedName,
    count: 1,
  });
  expect(await references.add(unrestrictedPrincipal, ref, composedName)).toMatchObject({
    added: false,
    count: 1,
  });
  const makeLine = (url: string, reference: string) => ({ url, tenantName: 'shop', reference });
  const { lines } = await rig.ingestUrls.many(unrestrictedPrincipal, [
    makeLine('http://127.0.0.1:9/a.jpg', decomposedName),
    makeLine('http://127.0.0.1:9/a.jpg', composedName),
    makeLine('http://127.0.0.1:9/b.jpg', 'K\uFFFDche'),
  ]);
  expect(lines.map(({ outcome }) => outcome)).toEqual(['new', 'active', 'refused']);
  const importedImage = await rig.image(lines[0]?.imageId ?? 0);
  expect(importedImage?.inUseCount).toBe(1);
  expect(await references.remove(unrestrictedPrincipal, ref, decomposedName)).toEqual({ count: 0 });
});

test('rejects a reference name with lost or invisible characters, but still removes an existing reference with that name', async () => {
  const { rig, ref, references } = await setUp();
  for (const [name, message] of [
    ['K\uFFFDche', /U\+FFFD, which replaces text that was lost/],
    ['a\u202Eb', /U\+202E, which is invisible/],
    ['\uFEFFa', /U\+FEFF, which is invisible/],
  ] as const) {
    await expect(references.add(unrestrictedPrincipal, ref, name)).rejects.toThrow(message);
    await rig.references.add(systemPrincipal, ref.id, name);
    expect(await references.remove(unrestrictedPrincipal, ref, name)).toEqual({ count: 0 });
  }
});

test('continues each page where the previous page ended', async () => {
  const { ref, references } = await setUp();
  const names = Array.from({ length: 7 }, (_, n) => `page ${n}`);
  for (const name of names.toReversed()) await references.add(unrestrictedPrincipal, ref, name);
  const listedNames: string[] = [];
  let after: number | undefined;
  do {
    const nextPage = await references.list(unrestrictedPrincipal, ref, { limit: 3, offset: 0, after });
    expect(nextPage.total).toBe(7);
    listedNames.push(...nextPage.items.map(({ reference }) => reference));
    after = nextPage.next;
  } while (after !== undefined);
  expect(listedNames).toEqual(names);
  const pageByOffset = await references.list(unrestrictedPrincipal, ref, { limit: 3, offset: 5 });
  expect(pageByOffset.items.map(({ reference }) => reference)).toEqual(['page 5', 'page 6']);
});

test('keeps the reference count correct after thirty concurrent changes', async () => {
  const { rig, image, ref, references } = await setUp();
  await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      n % 3 === 0
        ? references.remove(unrestrictedPrincipal, ref, `page ${n % 5}`)
        : references.add(unrestrictedPrincipal, ref, `page ${n % 5}`),
    ),
  );
  const { count } = await selectRow<{ count: number }>(
    resources.database,
    'SELECT count(*) AS count FROM image_references',
  );
  expect((await rig.image(image.id))?.inUseCount).toBe(count);
});

test('rejects invalid names, and accepts 200 characters of any script', async () => {
  const { ref, references } = await setUp();
  for (const name of ['', 'x'.repeat(201), 'a\nb']) {
    await expect(references.add(unrestrictedPrincipal, ref, name)).rejects.toMatchObject({
      code: 'invalid_request',
      message: expect.stringContaining(`it has ${name.length}`) as string,
    });
  }
  expect(await references.add(unrestrictedPrincipal, ref, '頁'.repeat(200))).toMatchObject({ added: true });
});

test('reports unknown images, deleted images and other tenants’ images as not found', async () => {
  const { rig, ref, references } = await setUp();
  const notFound = { code: 'image_not_found' };
  await expect(references.add(otherPrincipal, ref, 'page')).rejects.toMatchObject(notFound);
  await expect(references.list(otherPrincipal, ref, page)).rejects.toMatchObject(notFound);
  await expect(references.add(unrestrictedPrincipal, { id: 424_242 }, 'page')).rejects.toMatchObject(
    notFound,
  );
  await rig.softDelete(ref);
  await expect(references.remove(unrestrictedPrincipal, ref, 'page')).rejects.toMatchObject(notFound);
});

test('deletes an image in use only if forced, and otherwise reports its references', async () => {
  const { image, ref, references, remove } = await setUp();
  for (const name of ['a', 'b', 'c', 'd', 'e']) await references.add(unrestrictedPrincipal, ref, name);
  await expect(remove(unrestrictedPrincipal, ref, { force: false })).rejects.toMatchObject({
    code: 'image_in_use',
    status: 409,
    message: `Image ${image.id} is used by "a", "b", "c" and 2 more. Remove its references first, or send DELETE /v1/images/${image.id}?force=true.`,
    details: { in_use_count: 5, references: ['a', 'b', 'c', 'd', 'e'] },
  });
  expect(await remove(unrestrictedPrincipal, ref, { force: true })).toMatchObject({ id: image.id });
});

test('restores a deleted image with its renditions, and reports an unknown image as not found', async () => {
  const { rig, image, ref, remove, restore } = await setUp();
  await remove(unrestrictedPrincipal, ref, { force: false });
  expect(await rig.image(image.id)).toBeUndefined();
  await expect(restore(otherPrincipal, ref)).rejects.toMatchObject({ code: 'image_not_found' });
  const restoredImage = await restore(unrestrictedPrincipal, { uuid: image.uuid });
  expect(restoredImage.renditions).toEqual(image.renditions);
  expect(await restore(unrestrictedPrincipal, ref)).toEqual(restoredImage);
  await expect(restore(unrestrictedPrincipal, { id: 424_242 })).rejects.toMatchObject({
    code: 'image_not_found',
  });
});
