import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { SharableRendition } from '../../../src/db/renditions/variants.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import type { NewRendition } from '../../../src/model/rendition.ts';
import { renditionKey } from '../../../src/storage/keys.ts';
import { makeCatalog } from '../../support/inner/catalog.ts';
import { selectRow, selectRows, useDatabase } from '../../support/inner/database.ts';
import { makeRendition, sha256Hex } from '../../support/inner/records.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';

const database = await useDatabase();
const { id: tenantId } = await makeTenantQueries(database).ensure('shop');
const catalog = makeCatalog(database, tenantId);
const { variants, variantClaims } = catalog;
const recipe = '0123456789';

/** Returns a WebP file of the preset `card`, as it is made on request. */
function makeWebp(content: string, overrides: Partial<NewRendition> = {}): NewRendition {
  const variant = {
    ...makeRendition(tenantId, content, 'card', 50),
    format: 'webp',
    isListed: false,
    isOnRequest: true,
    ...overrides,
  } as const;
  const { preset, format, density } = variant;
  const hash = sha256Hex(content);
  return {
    ...variant,
    storageKey: renditionKey(tenantId, hash, preset, variant.recipe, format, density),
  };
}

const record = (imageId: number, renditions: readonly NewRendition[]) =>
  variants.record({ imageId, renditions, focalPoint: null, hasFiles: () => Promise.resolve(true) });
const find = (imageId: number, content: string, overrides?: Partial<NewRendition>) =>
  variants.findSharable(imageId, makeWebp(content, overrides));
const expectExactUsage = async () =>
  expect(await usageFromCounters(database)).toEqual(await usageFromRows(database));

/** Returns the columns of a rendition that do not depend on the image. */
const describeWebp = (imageId: number) =>
  selectRow(
    database,
    `SELECT preset, format, density, bytes, is_listed, is_on_request, shared, superseded_at,
       served_at = date_trunc('hour', now()) AS is_served_now
     FROM renditions WHERE image_id = ${imageId} AND format = 'webp' AND recipe = '${recipe}'`,
  );

/** Adds an image and a near-duplicate that shares its first renditions. The first image also has a WebP. */
async function addPair() {
  const donorId = await catalog.add('vase');
  const sharerId = await catalog.addSharer('copy', donorId);
  await record(donorId, [makeWebp('vase')]);
  return { donorId, sharerId };
}

test('finds the rendition of the donor, of an image with the same content, and of no other image', async () => {
  const { donorId, sharerId } = await addPair();
  const otherId = await catalog.add('lamp');
  const copyId = await catalog.addCopy('vase');
  await database.runScript(`DELETE FROM renditions WHERE image_id = ${copyId}`);
  expect(await find(sharerId, 'copy')).toMatchObject({ imageId: donorId, hasSameContent: false });
  expect(await find(copyId, 'vase')).toMatchObject({
    imageId: donorId,
    hasSameContent: true,
    originalWidth: 300,
    originalHeight: 200,
  });
  expect(await find(otherId, 'lamp')).toBeUndefined();
  for (const other of [{ recipe: 'ffffffffff' }, { density: 2 }, { format: 'avif' }] as const)
    expect(await find(sharerId, 'copy', other)).toBeUndefined();
  await catalog.softDelete(donorId);
  expect(await find(sharerId, 'copy')).toBeUndefined();
  expect(await find(copyId, 'vase')).toBeUndefined();
});

test("finds the image's own rendition first, even if it has been superseded", async () => {
  const { donorId, sharerId } = await addPair();
  await record(sharerId, [makeWebp('copy')]);
  await record(sharerId, [makeWebp('copy', { recipe: 'ffffffffff' })]);
  expect(await find(sharerId, 'copy')).toMatchObject({ imageId: sharerId, recipe, isSuperseded: true });
  await database.runScript(`DELETE FROM renditions WHERE image_id = ${sharerId} AND recipe = '${recipe}'`);
  expect(await find(sharerId, 'copy')).toMatchObject({ imageId: donorId, isSuperseded: false });
  // Another image never finds a superseded rendition.
  await record(donorId, [makeWebp('vase', { recipe: 'ffffffffff' })]);
  expect(await find(sharerId, 'copy')).toBeUndefined();
  expect(await find(donorId, 'vase')).toMatchObject({ imageId: donorId, recipe });
});

test("makes the image's own superseded rendition current again, and lists it as the preset now says", async () => {
  const imageId = await catalog.add('vase');
  await record(imageId, [makeWebp('vase')]);
  await record(imageId, [makeWebp('vase', { recipe: 'ffffffffff' })]);
  const found = (await find(imageId, 'vase')) as SharableRendition;
  expect(await variants.share(imageId, found, { x: 0.5, y: 0.5 })).toBe('focal-point-changed');
  expect(await variants.share(imageId, found, null, true)).toMatchObject([{ recipe, isListed: true }]);
  expect(
    await selectRows(
      database,
      `SELECT format, recipe, superseded_at IS NULL AS current, is_listed AS listed, shared FROM renditions
       WHERE image_id = ${imageId} AND preset = 'card' ORDER BY format, recipe`,
    ),
  ).toEqual([
    { format: 'jpeg', recipe, current: true, listed: false, shared: false },
    { format: 'webp', recipe, current: true, listed: true, shared: false },
    { format: 'webp', recipe: 'ffffffffff', current: false, listed: false, shared: false },
  ]);
  await expectExactUsage();
  await database.runScript(`DELETE FROM renditions WHERE id = ${found.id}`);
  expect(await variants.share(imageId, found, null)).toBe('rendition-gone');
});

test.each([
  ['removed', "DELETE FROM renditions WHERE format = 'webp'"],
  ['superseded', "UPDATE renditions SET superseded_at = now() WHERE format = 'webp'"],
  ['replaced by another file', "UPDATE renditions SET content_hash = 'other' WHERE format = 'webp'"],
  ['owned by a deleted image', "UPDATE images SET deleted_at = now() WHERE original_filename = 'vase.jpg'"],
])('does not share a rendition that is %s meanwhile', async (_, change) => {
  const { sharerId } = await addPair();
  const found = (await find(sharerId, 'copy')) as SharableRendition;
  await database.runScript(change);
  expect(await variants.share(sharerId, found, null)).toBe('rendition-gone');
  expect(await selectRows(database, `SELECT 1 FROM renditions WHERE image_id = ${sharerId}`)).toHaveLength(2);
});

test('shares a rendition, ends the claim on it, and supersedes one with another recipe', async () => {
  const { donorId, sharerId } = await addPair();
  const found = (await find(sharerId, 'copy')) as SharableRendition;
  const claim = { imageId: sharerId, preset: 'card', format: 'webp', density: 1, recipe } as const;
  await variantClaims.claim(claim, randomUUID(), 60);
  expect(await variants.share(sharerId, found, { x: 0.5, y: 0.5 })).toBe('focal-point-changed');
  expect(await variants.share(sharerId, found, null)).toMatchObject([{ storageKey: found.storageKey }]);
  expect(await selectRows(database, 'SELECT 1 FROM variant_claims')).toEqual([]);
  const ofDonor = await describeWebp(donorId);
  expect(await describeWebp(sharerId)).toEqual({ ...(ofDonor as object), shared: true });
  await expectExactUsage();

  await record(sharerId, [makeWebp('copy', { recipe: 'ffffffffff' })]);
  expect(await variants.share(sharerId, found, null)).toMatchObject([{ recipe }]);
  expect(
    await selectRows(
      database,
      `SELECT recipe, superseded_at IS NULL AS current FROM renditions
       WHERE image_id = ${sharerId} AND format = 'webp' ORDER BY recipe`,
    ),
  ).toEqual([
    { recipe, current: true },
    { recipe: 'ffffffffff', current: false },
  ]);
  await expectExactUsage();
});

test('records the same whether or not there are renditions to supersede', async () => {
  const [plainId, olderId] = [await catalog.add('vase'), await catalog.add('lamp')];
  await record(olderId, [makeWebp('lamp', { recipe: 'ffffffffff' })]);
  for (const [id, content] of [
    [plainId, 'vase'],
    [olderId, 'lamp'],
  ] as const)
    expect(await record(id, [makeWebp(content)])).toMatchObject([{ ...makeWebp(content), isListed: false }]);
  expect(await describeWebp(plainId)).toEqual(await describeWebp(olderId));
  expect(await describeWebp(plainId)).toMatchObject({ shared: false, is_served_now: true });
  // A repeated recording replaces the row, as does one of a file that another image owns already.
  await record(plainId, [makeWebp('vase', { bytes: 60 })]);
  expect(await describeWebp(plainId)).toMatchObject({ bytes: 60 });
  const copyId = await catalog.addCopy('vase');
  await database.runScript(`DELETE FROM renditions WHERE image_id = ${copyId}`);
  await record(copyId, [makeWebp('vase', { bytes: 60 })]);
  expect(await describeWebp(copyId)).toMatchObject({ bytes: 60, shared: true });
});

test('stops to list the former first format of a preset although no variant is superseded', async () => {
  const imageId = await catalog.add('vase');
  await record(imageId, [makeWebp('vase', { isListed: true })]);
  expect(
    await selectRows(
      database,
      `SELECT format, is_listed FROM renditions WHERE image_id = ${imageId} AND preset = 'card' ORDER BY format`,
    ),
  ).toEqual([
    { format: 'jpeg', is_listed: false },
    { format: 'webp', is_listed: true },
  ]);
});

test('leaves one current rendition of a variant that is recorded concurrently with many recipes', async () => {
  const imageId = await catalog.add('vase');
  const recipes = Array.from({ length: 10 }, (_, index) => `000000000${index}`);
  const results = await Promise.all(
    recipes.map((each) => record(imageId, [makeWebp('vase', { recipe: each })])),
  );
  for (const result of results) expect(result).toHaveLength(1);
  expect(
    await selectRow(
      database,
      `SELECT count(*) AS count, count(*) FILTER (WHERE superseded_at IS NULL) AS current
       FROM renditions WHERE image_id = ${imageId} AND format = 'webp'`,
    ),
  ).toEqual({ count: 10, current: 1 });
  await expectExactUsage();
});
