import { rm, truncate } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { claimOne } from '../support/inner/jobs.ts';
import { labelledPicture, type LabelLook } from '../support/inner/labelled-pictures.ts';
import { freshPicture, type ProductLook, productPicture } from '../support/inner/pictures.ts';
import { makeRig, type Rig, useEngines } from '../support/inner/rig.ts';

const engines = await useEngines();

/** Uploads a drawn product, and gives the finished image. */
const add = async (rig: Rig, look?: ProductLook) => (await rig.upload(await productPicture(look))).image;
const keysOf = ({ renditions }: { renditions: readonly { storageKey: string }[] }) =>
  renditions.map(({ storageKey }) => storageKey);

test('a re-encoded copy is found, and shows the renditions of the first one', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  const stored = await rig.storedKeys();
  const copy = await add(rig, { quality: 60 });
  expect(copy).toMatchObject({ status: 'completed', renditionsReusedFrom: first.id, duplicateOf: null });
  expect(copy.nearDuplicates).toMatchObject([{ id: first.id, uuid: first.uuid }]);
  expect(keysOf(copy)).toEqual(keysOf(first));
  expect(await rig.storedKeys()).toEqual([...stored, copy.originalKey!].toSorted());
  // The pair is seen from both sides.
  expect((await rig.image(first.id))?.nearDuplicates).toMatchObject([{ id: copy.id }]);
});

test('near-duplicates that are derived at the same moment find each other', async () => {
  const rig = await makeRig(engines);
  const copies = await Promise.all([50, 60, 70, 80, 90].map((quality) => add(rig, { quality })));
  const ids = copies.map(({ id }) => id).toSorted((a, b) => a - b);
  for (const id of ids) {
    const others = (await rig.image(id))?.nearDuplicates.map((match) => match.id).toSorted((a, b) => a - b);
    expect(others, `image ${id}`).toEqual(ids.filter((other) => other !== id));
  }
});

test('a copy of a borrower names the image whose files it shows', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  const second = await add(rig, { quality: 60 });
  const third = await add(rig, { quality: 59 });
  expect([second.renditionsReusedFrom, third.renditionsReusedFrom]).toEqual([first.id, first.id]);
  expect(keysOf(third)).toEqual(keysOf(first));
});

test('copies of another size make renditions of their own', async () => {
  const rig = await makeRig(engines, { presets: [{ name: 'card', width: 400, height: 400, quality: 85 }] });
  const large = await add(rig, { width: 500 });
  const small = await add(rig, { width: 250 });
  expect(small.nearDuplicates).toMatchObject([{ id: large.id }]);
  expect(small.renditionsReusedFrom).toBeNull();
  expect([large.renditions[0]?.height, small.renditions[0]?.height]).toEqual([400, 300]);
  // Both fill the preset: what is shared is of one size again.
  expect((await add(rig, { width: 450 })).renditionsReusedFrom).toBe(large.id);
});

/** Large enough that print can be read. */
const large = [{ name: 'zoom', width: 600, height: 600, quality: 85 }];

/** Uploads a box with a printed label. */
const addLabel = async (rig: Rig, look?: LabelLook, quality = 90) =>
  (await rig.upload(await labelledPicture(look).jpeg({ quality }).toBuffer())).image;

test.each([
  ['digit', { text: '400' }, /lightness differs 2\d % from the left and 4\d % from the top/],
  [
    'shade',
    { shade: [184, 48, 66] },
    /(lightness|colour) differs [56]\d % from the left and [45]\d % from the top/,
  ],
] as const)(
  'a product with another %s is named with the difference, and has pictures of its own',
  async (_, look, why) => {
    const rig = await makeRig(engines, { presets: large });
    const first = await addLabel(rig);
    const other = await addLabel(rig, look);
    expect(other.nearDuplicates).toMatchObject([
      { id: first.id, reason: expect.stringMatching(why) as string },
    ]);
    expect(other.renditionsReusedFrom).toBeNull();
    expect(keysOf(other)).not.toEqual(keysOf(first));
    // A copy of the second finds it behind the first.
    const copy = await addLabel(rig, look, 70);
    expect(copy.nearDuplicates).toHaveLength(2);
    expect(copy.renditionsReusedFrom).toBe(other.id);
  },
);

test.each([
  ['missing', (path: string) => rm(path)],
  ['cut', (path: string) => truncate(path, 300)],
] as const)('a donor whose rendition is %s lends nothing', async (_, spoil) => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  await spoil(rig.pathOf(first.renditions.find(({ preset }) => preset === 'card')!.storageKey));
  const copy = await add(rig, { quality: 60 });
  expect(copy.nearDuplicates).toMatchObject([
    { id: first.id, reason: 'the same colours in the same places' },
  ]);
  expect(copy).toMatchObject({ status: 'completed', renditionsReusedFrom: null });
});

test('the same pixels in another container share; with an alpha channel on one side they do not', async () => {
  const rig = await makeRig(engines, { presets: large });
  const lossless = (picture: ReturnType<typeof labelledPicture>) =>
    picture.webp({ lossless: true }).toBuffer();
  const { image: first } = await rig.upload(await labelledPicture().png().toBuffer());
  const { image: copy } = await rig.upload(await lossless(labelledPicture()));
  expect(copy.renditionsReusedFrom).toBe(first.id);
  const { image: clear } = await rig.upload(await lossless(labelledPicture().ensureAlpha(0.99)));
  expect(clear.nearDuplicates.map(({ id }) => id)).toContain(first.id);
  expect(clear.renditionsReusedFrom).toBeNull();
});

test('a product in another colour, or of another shape, is no near-duplicate', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  for (const look of [{ body: '#b23a48' }, { shape: 'mug' }] as const) {
    const other = await add(rig, look);
    expect(other).toMatchObject({ nearDuplicates: [], renditionsReusedFrom: null });
    expect(keysOf(other)).not.toEqual(keysOf(first));
  }
});

test('pictures without structure are nobody’s near-duplicates, however alike they are', async () => {
  const rig = await makeRig(engines);
  await rig.upload(await freshPicture());
  expect((await rig.upload(await freshPicture())).image.nearDuplicates).toEqual([]);
});

test('the pictures of another tenant are never compared', async () => {
  const rig = await makeRig(engines);
  await add(rig);
  const { image } = await rig.upload(await productPicture({ quality: 60 }), { tenantName: 'other' });
  expect(image).toMatchObject({ nearDuplicates: [], renditionsReusedFrom: null });
});

test('under flag a near-duplicate is named and has files of its own', async () => {
  const rig = await makeRig(engines, { nearDuplicates: 'flag' });
  const first = await add(rig);
  const copy = await add(rig, { quality: 60 });
  expect(copy.nearDuplicates).toMatchObject([{ id: first.id }]);
  expect(copy.renditionsReusedFrom).toBeNull();
  expect(keysOf(copy)).not.toEqual(keysOf(first));
});

test('under off nothing is looked for', async () => {
  const rig = await makeRig(engines, { nearDuplicates: 'off' });
  await add(rig);
  expect(await add(rig, { quality: 60 })).toMatchObject({ nearDuplicates: [], renditionsReusedFrom: null });
});

test('work that is done again makes files of its own, also when its first try fails', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  const copy = await add(rig, { quality: 60 });
  await rig.jobs.requeue(copy.id, 50);
  const attempt = {
    failureClass: 'transient',
    stage: 'store',
    code: 'storage_failed',
    error: 'Away.',
  } as const;
  const next = { state: 'pending', delaySeconds: 0, spend: 'retries' } as const;
  await rig.jobs.recordFailure(await claimOne(engines.database), attempt, next);
  expect(await rig.runJob(await claimOne(engines.database))).toMatchObject({ state: 'completed' });
  const again = (await rig.image(copy.id))!;
  expect(again.renditionsReusedFrom).toBeNull();
  expect(keysOf(again)).not.toEqual(keysOf(first));
  for (const key of keysOf(again)) expect(await rig.storage.stat(key)).toBeDefined();
});

test('when the donor is purged, what shares its renditions keeps them, readable', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  const copy = await add(rig, { quality: 60 });
  const [candidate] = await rig.purging.unused({ tenantId: first.tenantId, minAgeDays: 0 }, { limit: 1 });
  const removed = await rig.purging.remove(candidate!, { unusedForDays: 0 });
  expect(removed?.files.map(({ key }) => key)).toEqual([first.originalKey]);
  for (const { key } of removed?.files ?? []) await rig.storage.remove(key);
  const left = (await rig.image(copy.id))!;
  expect(left).toMatchObject({ renditionsReusedFrom: null, nearDuplicates: [] });
  for (const { storageKey, bytes } of left.renditions) {
    expect((await rig.storage.readAll(storageKey)).length).toBe(bytes);
  }
});

test('a deleted near-duplicate is neither named nor borrowed from', async () => {
  const rig = await makeRig(engines);
  const first = await add(rig);
  const copy = await add(rig, { quality: 60 });
  await rig.hide({ id: first.id });
  expect((await rig.image(copy.id))?.nearDuplicates).toEqual([]);
  const third = await add(rig, { quality: 75 });
  expect(third.nearDuplicates).toMatchObject([{ id: copy.id }]);
  expect(third.renditionsReusedFrom).toBe(copy.id);
});
