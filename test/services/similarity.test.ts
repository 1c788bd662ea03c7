import { readdir } from 'node:fs/promises';
import type { SimilarityOptions } from '../../src/model/similarity.ts';
import { expect, test } from 'vitest';
import { unrestrictedPrincipal } from '../../src/model/principal.ts';
import { claimOne } from '../support/inner/jobs.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { makeTruncatedPicture, type ProductStyle, drawProduct } from '../support/inner/pictures.ts';
import { makeRig, type RigOptions, useTestResources } from '../support/inner/rig.ts';

const resources = await useTestResources();
const allMatches: SimilarityOptions = { limit: 10, threshold: 0 };
const otherPrincipal = { ...unrestrictedPrincipal, tenantId: 999_999, tenantName: 'other' };

/** Creates a test rig with the services that find similar images. */
async function setUp(rigOptions?: RigOptions) {
  const rig = await makeRig(resources, rigOptions);
  const add = async (style?: ProductStyle, tenantName = 'shop') =>
    (await rig.upload(await drawProduct(style), { tenantName })).image;
  const { findSimilar, findDuplicates, searchByPicture } = rig.services;
  return {
    rig,
    add,
    findSimilar: (id: number, options = allMatches) => findSimilar(unrestrictedPrincipal, { id }, options),
    findDuplicates,
    search: async (style: ProductStyle, options = allMatches, tenant = 'shop') =>
      searchByPicture(unrestrictedPrincipal, tenant, await rig.receive(await drawProduct(style)), options),
    searchByPicture,
  };
}

test('returns the tenant’s similar images, best match first, without the image itself', async () => {
  const { add, findSimilar } = await setUp();
  const vase = await add();
  const redVase = await add({ body: '#b23a48' });
  const mug = await add({ shape: 'mug', body: '#204080' });
  await add({ quality: 70 }, 'other');
  const { similar, searched, exact, image } = await findSimilar(vase.id);
  expect(image.id).toBe(vase.id);
  expect(similar.map(({ image: match }) => match.id)).toEqual([redVase.id, mug.id]);
  expect(similar[0]!.score).toBeGreaterThan(similar[1]!.score);
  // The red vase has the shape of the vase, but not its colour.
  expect(similar[0]!.explanation).toMatchObject({ via: null });
  expect(similar[0]!.explanation!.parts.shape).toBeGreaterThan(0.5);
  expect(similar[0]!.explanation!.parts.colour).toBeLessThan(0.5);
  expect({ searched, exact }).toEqual({ searched: 2, exact: true });
  const limitedResult = await findSimilar(vase.id, { ...allMatches, limit: 1 });
  expect(limitedResult.similar).toHaveLength(1);
  expect(limitedResult.searched).toBe(2);
  const threshold = (similar[0]!.score + similar[1]!.score) / 2;
  expect((await findSimilar(vase.id, { ...allMatches, threshold })).similar).toHaveLength(1);
});

test('gives two images the same score in both directions, and a re-encoded copy a score of nearly 1', async () => {
  const { add, findSimilar } = await setUp();
  const [vase, copy] = [await add(), await add({ quality: 70 })];
  const [vaseResult, copyResult] = [await findSimilar(vase.id), await findSimilar(copy.id)];
  expect(vaseResult.similar[0]?.score).toBeGreaterThan(0.98);
  expect(copyResult.similar[0]?.score).toBeCloseTo(vaseResult.similar[0]!.score, 6);
});

test('does not return deleted images', async () => {
  const { rig, add, findSimilar } = await setUp();
  const [vase, deletedImage] = [await add(), await add({ shape: 'mug' })];
  await rig.softDelete({ id: deletedImage.id });
  expect(await findSimilar(vase.id)).toMatchObject({ similar: [], searched: 0 });
});

test('reports why an image has no embedding, and queues a job to create the embedding if possible', async () => {
  const { rig, add, findSimilar } = await setUp();
  const pendingUpload = await rig.upload(await drawProduct(), { mode: 'queued' });
  await expect(findSimilar(pendingUpload.image.id)).rejects.toMatchObject({
    code: 'fingerprint_not_ready',
    message: `Image ${pendingUpload.image.id} has no embedding: it is pending.`,
  });
  await rig.runJob(await claimOne(resources.database));
  const brokenUpload = await rig.upload(await makeTruncatedPicture(), { mode: 'queued' });
  await rig.runJob(await claimOne(resources.database));
  await expect(findSimilar(brokenUpload.image.id)).rejects.toMatchObject({
    message: expect.stringMatching(/its processing failed: The JPEG image is truncated/) as string,
  });
  const outdatedImage = await add({ shape: 'mug' });
  await resources.database.runScript('DELETE FROM embeddings');
  for (let requests = 0; requests < 2; requests++)
    await expect(findSimilar(outdatedImage.id)).rejects.toMatchObject({ code: 'fingerprint_not_ready' });
  await rig.runJob(await claimOne(resources.database));
  expect(await findSimilar(outdatedImage.id)).toMatchObject({ similar: [] });
  await expect(findSimilar(424_242)).rejects.toMatchObject({ code: 'image_not_found' });
});

test('returns exact copies before near-duplicates', async () => {
  const { rig, add, findDuplicates } = await setUp();
  const vase = await add();
  const nearCopy = await add({ quality: 60 });
  await add({ shape: 'mug' });
  const origin = await startOrigin();
  const url = origin.put('/vase.jpg', await drawProduct());
  const { image: copy } = await rig.ingestUrls.one(unrestrictedPrincipal, { url, tenantName: 'shop' });
  await rig.runJob(await claimOne(resources.database, 60, 'import'));
  const { image, duplicates } = await findDuplicates(unrestrictedPrincipal, { uuid: vase.uuid });
  expect(image.id).toBe(vase.id);
  expect(duplicates).toMatchObject([
    { image: { id: copy.id, duplicateOf: vase.id }, kind: 'exact', distance: 0, difference: 0 },
    { image: { id: nearCopy.id }, kind: 'near', reason: 'the same colours in the same places' },
  ]);
  await expect(findDuplicates(otherPrincipal, { id: vase.id })).rejects.toMatchObject({
    code: 'image_not_found',
  });
});

test('finds copies of a picture, and images similar to it, without storing it', async () => {
  const { rig, add, search } = await setUp();
  const vase = await add();
  const mug = await add({ shape: 'mug' });
  await add({ quality: 75 }, 'other');
  const nearResult = await search({ quality: 60 });
  expect(nearResult.duplicates).toMatchObject([{ image: { id: vase.id }, kind: 'near' }]);
  expect(nearResult.similar.map(({ image }) => image.id)).toEqual([vase.id, mug.id]);
  const exactResult = await search({});
  expect(exactResult.duplicates).toMatchObject([{ image: { id: vase.id }, kind: 'exact' }]);
  expect(exactResult.similar.map(({ image }) => image.id)).toEqual([mug.id]);
  expect(await readdir(rig.staging.directory)).toEqual([]);
  expect(await rig.storedKeys()).toHaveLength(9);
});

test('rejects a search with an undecodable picture or an unknown tenant, and stores nothing', async () => {
  const { rig, add, searchByPicture } = await setUp();
  await add();
  await expect(
    searchByPicture(unrestrictedPrincipal, 'shop', await rig.receive(Buffer.from('no picture')), allMatches),
  ).rejects.toMatchObject({ code: 'not_a_picture' });
  await expect(
    searchByPicture(
      unrestrictedPrincipal,
      'shop',
      await rig.receive(await makeTruncatedPicture()),
      allMatches,
    ),
  ).rejects.toMatchObject({ code: 'picture_cut' });
  for (const [principal, name, code] of [
    [unrestrictedPrincipal, 'unknown', 'tenant_not_found'],
    [otherPrincipal, 'shop', 'tenant_not_allowed'],
  ] as const) {
    const file = await rig.receive(await drawProduct());
    await expect(searchByPicture(principal, name, file, allMatches)).rejects.toMatchObject({ code });
  }
  expect(await readdir(rig.staging.directory)).toEqual([]);
});
