import { expect, test } from 'vitest';
import { claimOne } from '../support/inner/jobs.ts';
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

test('a smaller copy borrows from a larger one, and a larger one makes its own', async () => {
  const rig = await makeRig(engines, { presets: [{ name: 'card', width: 400, height: 400, quality: 85 }] });
  const small = await add(rig, { width: 150 });
  const large = await add(rig, { width: 500 });
  expect(large.nearDuplicates).toMatchObject([{ id: small.id }]);
  expect(large.renditionsReusedFrom).toBeNull();
  expect([small.renditions[0]?.height, large.renditions[0]?.height]).toEqual([180, 400]);
  const medium = await add(rig, { width: 250 });
  expect(medium.renditionsReusedFrom).toBe(large.id);
  expect(medium.renditions[0]?.height).toBe(400);
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
  expect(await rig.runJob(await claimOne(engines.database))).toEqual({ state: 'completed' });
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
