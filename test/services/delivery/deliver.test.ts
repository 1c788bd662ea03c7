import { rm } from 'node:fs/promises';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { makePreset, type RenditionFormat } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import type { RetrievedRendition } from '../../../src/services/retrieve-image.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { makeRig, type Rig, type RigOptions, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 40, height: 40, densities: [1, 2] });
const tile = makePreset({ name: 'tile', width: 30, height: 30, fit: 'cover', eager: 'none' });
const { signal } = new AbortController();

async function setUp(options: RigOptions = {}, mark?: Parameters<typeof makeUniquePicture>[0]) {
  const rig = await makeRig(resources, { presets: [card, tile], readCacheBytes: 2 ** 20, ...options });
  const { image } = await rig.upload(await makeUniquePicture(mark));
  rig.renderedFiles.length = 0;
  return { rig, image, ...rig.services };
}

const bodyOf = (rendition: RetrievedRendition) => {
  if (!('body' in rendition)) throw new Error('The rendition was not read into memory.');
  return rendition.body;
};
const rowsOf = async (rig: Rig, id: number) => (await rig.image(id))?.renditions ?? [];

test('makes a variant once for everyone who asks for it, and then returns it from storage and from memory', async () => {
  const { rig, image, deliver } = await setUp();
  const ref = { uuid: image.uuid, preset: 'card', density: 2, format: 'webp' } as const;
  expect(deliver.cached(everyone, ref)).toBeUndefined();
  const loads = Array.from({ length: 30 }, () => deliver.load(everyone, ref, signal));
  const [first, ...others] = (await Promise.all(loads)).map(bodyOf);
  for (const other of others) expect(other).toEqual(first);
  expect(rig.renderedFiles).toEqual(['card.webp']);
  expect(await sharp(first).metadata()).toMatchObject({ format: 'webp', width: 80, height: 60 });
  expect(bodyOf(deliver.cached(everyone, ref)!)).toEqual(first);

  const row = (await rowsOf(rig, image.id)).find(({ format }) => format === 'webp')!;
  expect(row).toMatchObject({ density: 2, isListed: false, isOnRequest: true, quality: card.quality.webp });
  expect(await rig.storage.readAll(row.storageKey)).toEqual(first);
  expect(await deliver.load(everyone, { ...ref, recipe: row.recipe }, signal)).toMatchObject({
    body: first,
    isCurrent: true,
  });
  expect(rig.renderedFiles).toHaveLength(1);
  const [usage] = await usageFromCounters(resources.database);
  expect(usage).toMatchObject({ renditions: 1, bytesByFormat: { webp: row.bytes } });
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));
});

test('explains what there is instead of an unknown preset, format, density or recipe', async () => {
  const { image, deliver } = await setUp();
  const load = (ref: { preset?: string; density?: number; format?: RenditionFormat; recipe?: string }) =>
    deliver.load(everyone, { uuid: image.uuid, preset: 'card', density: 1, format: 'jpeg', ...ref }, signal);
  await expect(load({ preset: 'poster' })).rejects.toMatchObject({
    code: 'unknown_variant',
    status: 404,
    message: 'There is no preset "poster"; the presets are card, tile.',
  });
  await expect(load({ format: 'png' })).rejects.toMatchObject({
    message: 'The preset "card" has no renditions in the format png; its formats are jpeg, webp, avif.',
  });
  await expect(load({ density: 3 })).rejects.toMatchObject({
    message: 'The preset "card" has no renditions at density 3; it has 1, 2.',
  });
  await expect(load({ recipe: '0000000000' })).rejects.toMatchObject({
    code: 'unknown_variant',
    message: expect.stringContaining('with the recipe "0000000000"') as string,
  });
  const uuid = '00000000-0000-7000-8000-000000000000';
  await expect(
    deliver.load(everyone, { uuid, preset: 'card', density: 1, format: 'jpeg' }, signal),
  ).rejects.toMatchObject({ code: 'image_not_found' });
  await expect(
    deliver.load(
      { ...everyone, tenantId: 999_999 },
      { uuid: image.uuid, preset: 'card', density: 1, format: 'webp' },
      signal,
    ),
  ).rejects.toMatchObject({ code: 'image_not_found' });
});

test('serves a former rendition at its own address after the preset has changed, and makes the new one on request', async () => {
  const { rig, image } = await setUp();
  const [former] = await rowsOf(rig, image.id);
  const changed = { ...card, background: '#000000' };
  const { deliver } = (await makeRig(resources, { presets: [changed], root: rig.root })).services;
  const ref = { uuid: image.uuid, preset: 'card', density: 1, format: 'jpeg' } as const;
  const atOwnAddress = () => deliver.load(everyone, { ...ref, recipe: former!.recipe }, signal);

  expect(await atOwnAddress()).toMatchObject({ rendition: { id: former!.id }, isCurrent: false });
  const current = await deliver.load(everyone, ref, signal);
  if (!('rendition' in current)) throw new Error('The rendition was cached.');
  expect(current.isCurrent).toBe(true);
  expect(current.rendition.recipe).not.toBe(former!.recipe);
  expect((await rowsOf(rig, image.id)).map(({ id, isListed }) => ({ id, isListed }))).toEqual([
    { id: current.rendition.id, isListed: true },
  ]);
  expect(await atOwnAddress()).toMatchObject({ rendition: { id: former!.id }, isCurrent: false });
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));
});

test('serves a former rendition at the current address if the new one cannot be made', async () => {
  const { rig, image } = await setUp();
  await rm(rig.filePath(image.originalKey!));
  const changed = { ...card, background: '#000000' };
  const { deliver } = (await makeRig(resources, { presets: [changed], root: rig.root })).services;
  const ref = { uuid: image.uuid, preset: 'card', density: 1, format: 'jpeg' } as const;
  expect(await deliver.load(everyone, ref, signal)).toMatchObject({ isCurrent: false });
  await expect(deliver.load(everyone, { ...ref, format: 'webp' }, signal)).rejects.toMatchObject({
    code: 'original_missing',
  });
});

test('records nothing for an image that is deleted while its variant is being made, and leaves no file', async () => {
  const { rig, image, deliver, deleteImage } = await setUp({}, 'late-pause');
  const keysBefore = await rig.storedKeys();
  const pendingLoad = deliver.load(
    everyone,
    { uuid: image.uuid, preset: 'tile', density: 1, format: 'webp' },
    signal,
  );
  const outcome = expect(pendingLoad).rejects.toMatchObject({ code: 'image_not_found' });
  await expect.poll(() => resources.decoders.stats().busy).toBeGreaterThan(0);
  await deleteImage(everyone, { id: image.id }, { force: false });
  await outcome;
  expect(await rig.storedKeys()).toEqual(keysBefore);
  expect(await rig.services.restoreImage(everyone, { id: image.id })).toMatchObject({
    renditions: [{ preset: 'card' }],
  });
});

test('lets one caller leave without affecting the others', async () => {
  const { rig, image, deliver } = await setUp({}, 'late-pause');
  const ref = { uuid: image.uuid, preset: 'tile', density: 1, format: 'webp' } as const;
  const impatient = new AbortController();
  const leaving = expect(deliver.load(everyone, ref, impatient.signal)).rejects.toThrow('enough');
  const staying = deliver.load(everyone, ref, signal);
  await expect.poll(() => resources.decoders.stats().busy).toBeGreaterThan(0);
  impatient.abort(new Error('enough'));
  await leaving;
  expect(await sharp(bodyOf(await staying)).metadata()).toMatchObject({ width: 30, height: 30 });
  expect(rig.renderedFiles).toEqual(['tile.webp']);
});

test('does not try a picture again for a while after it has crashed the decoder', async () => {
  const { image, deliver } = await setUp({}, 'late-crash');
  const { crashes } = resources.decoders.stats();
  const ref = { uuid: image.uuid, preset: 'tile', density: 1, format: 'webp' } as const;
  for (let request = 0; request < 3; request++)
    await expect(deliver.load(everyone, ref, signal)).rejects.toMatchObject({ code: 'decoder_crashed' });
  expect(resources.decoders.stats().crashes - crashes).toBe(1);
  expect(await deliver.load(everyone, { ...ref, preset: 'card', format: 'jpeg' }, signal)).toMatchObject({
    isCurrent: true,
  });
});

test('returns WebP until a job has made AVIF', async () => {
  const { rig, image, deliver } = await setUp();
  const ref = { uuid: image.uuid, preset: 'card', density: 1 };
  const formats = ['avif', 'webp', 'jpeg'] as const;
  const negotiate = () => deliver.negotiate(everyone, ref, formats, signal);
  expect(deliver.cachedNegotiated(everyone, ref, formats)).toBeUndefined();
  for (let request = 0; request < 3; request++)
    expect(await negotiate()).toMatchObject({ format: 'webp', isFinal: false });
  expect(deliver.cachedNegotiated(everyone, ref, formats)).toMatchObject({ format: 'webp', isFinal: false });

  const jobs = await rig.jobs.claimDue('render', 10, 60);
  expect(jobs.map(({ variants }) => variants)).toEqual([[{ preset: 'card', format: 'avif', density: 1 }]]);
  expect(await rig.runJob(jobs[0]!)).toEqual({ state: 'completed' });
  expect(await negotiate()).toMatchObject({ format: 'avif', isFinal: true });
  expect(rig.renderedFiles).toEqual(['card.webp', 'card.avif']);
  expect(await deliver.negotiate(everyone, ref, ['jpeg'], signal)).toMatchObject({
    format: 'jpeg',
    isFinal: true,
  });
  expect(await deliver.negotiate(everyone, { ...ref, density: 2 }, ['avif'], signal)).toMatchObject({
    format: 'avif',
    isFinal: true,
  });
  await expect(deliver.negotiate(everyone, ref, ['png'], signal)).rejects.toMatchObject({
    code: 'unknown_variant',
  });
});

test('makes the renditions of presets that cut pictures again once the focal point has changed', async () => {
  const { rig, image, deliver, focalPoint } = await setUp();
  const ref = { uuid: image.uuid, density: 1, format: 'jpeg' } as const;
  const recipeOf = async (preset: string) => {
    const rendition = await deliver.load(everyone, { ...ref, preset }, signal);
    if (!('body' in rendition)) throw new Error('The rendition was not cached.');
    return rendition.recipe;
  };
  const recipes = { card: await recipeOf('card'), tile: await recipeOf('tile') };
  const point = { x: 0.123_456_789, y: 1 };
  expect(await focalPoint.set(everyone, { uuid: image.uuid }, point)).toMatchObject({
    focalPoint: { x: 0.1235, y: 1 },
  });
  expect(await rig.image(image.id)).toMatchObject({ focalPoint: { x: 0.1235, y: 1 } });
  expect(await recipeOf('card')).toBe(recipes.card);
  expect(await recipeOf('tile')).not.toBe(recipes.tile);
  expect(rig.renderedFiles).toEqual(['tile.jpeg', 'tile.jpeg']);

  await focalPoint.remove(everyone, { id: image.id });
  expect(await recipeOf('tile')).toBe(recipes.tile);
  expect(rig.renderedFiles, 'the first file is still there').toHaveLength(2);
  const { items } = await rig.audit.list(everyone, { action: 'image.focus' }, { limit: 10, offset: 0 });
  expect(items.map(({ target }) => target)).toEqual([image.uuid, image.uuid]);
  await expect(focalPoint.set(everyone, { id: 424_242 }, point)).rejects.toMatchObject({
    code: 'image_not_found',
  });
});

test('shares a variant with another image of the same content', async () => {
  const rig = await makeRig(resources, { presets: [card], readCacheBytes: 2 ** 20 });
  const bytes = await makeUniquePicture();
  const { image: first } = await rig.upload(bytes);
  const { deliver, deleteImage, restoreImage } = rig.services;
  const load = (uuid: string) =>
    deliver.load(everyone, { uuid, preset: 'card', density: 1, format: 'webp' }, signal);
  await load(first.uuid);
  await deleteImage(everyone, { id: first.id }, { force: false });
  const { image: second } = await rig.upload(bytes);
  await restoreImage(everyone, { id: first.id });
  rig.renderedFiles.length = 0;
  await load(second.uuid);
  expect(rig.renderedFiles).toEqual([]);
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));

  // The shared file stays when the image that owns it is removed.
  await deleteImage(everyone, { id: first.id }, { force: false });
  expect(
    await rig.services.purgeDeleted(everyone, {
      days: 0,
      dryRun: false,
      confirmTokens: ['DELETE_CONFIRMED'],
    }),
  ).toMatchObject({ images: 1, errors: [] });
  const webp = (await rowsOf(rig, second.id)).find(({ format }) => format === 'webp')!;
  expect((await rig.storage.readAll(webp.storageKey)).length).toBe(webp.bytes);
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));
});
