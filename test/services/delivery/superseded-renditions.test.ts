import { rm } from 'node:fs/promises';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { makePreset, type RenditionFormat } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { usageFromCounters, usageFromRows } from '../../support/inner/recount.ts';
import { makeRig, type Rig, useTestResources } from '../../support/inner/rig.ts';

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 40, height: 40 });
const changed = { ...card, width: 30 };
const { signal } = new AbortController();

/** A loaded file, and the recipe of its address. */
interface Loaded {
  readonly body: Buffer;
  readonly recipe: string;
  readonly isCurrent: boolean;
}

async function load(
  { services }: Rig,
  uuid: string,
  format: RenditionFormat,
  recipe?: string,
): Promise<Loaded> {
  const ref = { uuid, preset: 'card', density: 1, format, ...(recipe !== undefined && { recipe }) };
  const loaded = await services.deliver.load(everyone, ref, signal);
  if (!('body' in loaded)) throw new Error('The rendition was not read into memory.');
  return loaded;
}

const widthOf = async ({ body }: Loaded) => (await sharp(body).metadata()).width;

/**
 * Makes the variants of one image with a preset, then with a changed preset, and then puts the first preset into force again.
 * Each time, a new process serves them, which has no files in memory.
 */
async function changeTwice() {
  const first = await makeRig(resources, { presets: [card], readCacheBytes: 2 ** 20 });
  const { image } = await first.upload(await makeUniquePicture());
  const startWith = (preset: typeof card) =>
    makeRig(resources, { presets: [preset], root: first.root, readCacheBytes: 2 ** 20 });
  const former = { jpeg: await load(first, image.uuid, 'jpeg'), webp: await load(first, image.uuid, 'webp') };
  const second = await startWith(changed);
  const interim = {
    jpeg: await load(second, image.uuid, 'jpeg'),
    webp: await load(second, image.uuid, 'webp'),
  };
  expect(second.renderedFiles).toEqual(['card.jpeg', 'card.webp']);
  return { rig: await startWith(card), startWith, image, former, interim };
}

test.each(['jpeg', 'webp'] as const)(
  'serves a superseded %s again without making it when its preset is in force again',
  async (format) => {
    const { rig, image, former, interim } = await changeTwice();
    expect(await widthOf(interim[format])).toBe(30);
    const again = await load(rig, image.uuid, format);
    expect(again).toMatchObject({ recipe: former[format].recipe, isCurrent: true });
    expect(again.body.equals(former[format].body)).toBe(true);
    expect(await load(rig, image.uuid, format, former[format].recipe)).toMatchObject({ isCurrent: true });
    expect(rig.renderedFiles).toEqual([]);
    const current = (await rig.image(image.id))?.renditions.find((rendition) => rendition.format === format);
    expect(current?.recipe).toBe(former[format].recipe);
    expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));
  },
);

test('serves every superseded rendition at its old address, and never makes one with a recipe that is not in force', async () => {
  const { startWith, image, former, interim } = await changeTwice();
  const third = await startWith({ ...card, width: 20 });
  await load(third, image.uuid, 'jpeg');
  third.renderedFiles.length = 0;
  for (const { recipe, body } of [former.jpeg, former.webp, interim.jpeg, interim.webp]) {
    const format = recipe === former.webp.recipe || recipe === interim.webp.recipe ? 'webp' : 'jpeg';
    const served = await load(third, image.uuid, format, recipe);
    expect(served).toMatchObject({ recipe, isCurrent: false });
    expect(served.body.equals(body)).toBe(true);
  }
  // The address names the format as well.
  await expect(load(third, image.uuid, 'avif', former.webp.recipe)).rejects.toMatchObject({
    code: 'unknown_variant',
  });
  const rows = await third.database.sql.selectFrom('renditions').select(['storage_key', 'recipe']).execute();
  const lost = rows.find(({ recipe }) => recipe === former.webp.recipe);
  await rm(third.filePath(lost!.storage_key));
  const restarted = await startWith({ ...card, width: 20 });
  await expect(load(restarted, image.uuid, 'webp', former.webp.recipe)).rejects.toMatchObject({
    code: 'unknown_variant',
  });
  expect([...third.renderedFiles, ...restarted.renderedFiles]).toEqual([]);
});

test('makes a superseded rendition current again if its file has to be made again', async () => {
  const { rig, image, former, interim } = await changeTwice();
  const listCurrent = async () =>
    (await rig.image(image.id))!.renditions.map(({ format, recipe }) => ({ format, recipe }));
  const rows = await rig.database.sql.selectFrom('renditions').select(['storage_key', 'recipe']).execute();
  await rm(rig.filePath(rows.find(({ recipe }) => recipe === former.jpeg.recipe)!.storage_key));

  const repaired = await load(rig, image.uuid, 'jpeg');
  expect(repaired.body.equals(former.jpeg.body)).toBe(true);
  expect(rig.renderedFiles).toEqual(['card.jpeg']);
  expect(await listCurrent()).toEqual(
    expect.arrayContaining([
      { format: 'jpeg', recipe: former.jpeg.recipe },
      { format: 'webp', recipe: interim.webp.recipe },
    ]),
  );
  expect(await load(rig, image.uuid, 'jpeg', interim.jpeg.recipe)).toMatchObject({ isCurrent: false });
  expect(await usageFromCounters(resources.database)).toEqual(await usageFromRows(resources.database));
});
