import { randomBytes } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { setTimeout as sleep } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { expect, test, vi } from 'vitest';
import { makePreset } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal as everyone } from '../../../src/model/principal.ts';
import { makeMadeFiles } from '../../../src/services/delivery/made-files.ts';
import { makeUniquePicture } from '../../support/inner/pictures.ts';
import { sha256Hex } from '../../support/inner/records.ts';
import { makeRig, useTestResources } from '../../support/inner/rig.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const resources = await useTestResources();
const card = makePreset({ name: 'card', width: 40, height: 40 });
const mebibyte = 2 ** 20;

test('returns a file for a second, and then gives its memory back although nobody asks for it', async () => {
  const madeFiles = makeMadeFiles(mebibyte);
  let bytes: Buffer | undefined = randomBytes(mebibyte);
  const memory = new WeakRef(bytes);
  madeFiles.add('a', bytes);
  expect(madeFiles.get('a')).toBe(bytes);
  expect(madeFiles.get('b')).toBeUndefined();
  bytes = undefined;
  await sleep(300);
  collectGarbage();
  expect(memory.deref()).toBeDefined();
  await sleep(800);
  await expect
    .poll(() => {
      collectGarbage();
      return memory.deref();
    })
    .toBeUndefined();
  expect(madeFiles.get('a')).toBeUndefined();
});

test('keeps no file that is larger than the files that are read into memory', () => {
  const madeFiles = makeMadeFiles(1_000);
  madeFiles.add('largest', randomBytes(1_000));
  madeFiles.add('larger', randomBytes(1_001));
  madeFiles.add('empty', Buffer.alloc(0));
  expect(madeFiles.get('largest')).toHaveLength(1_000);
  expect(madeFiles.get('larger')).toBeUndefined();
  expect(madeFiles.get('empty')).toHaveLength(0);
  const disabled = makeMadeFiles(0);
  disabled.add('small', randomBytes(1));
  expect(disabled.get('small')).toBeUndefined();
});

test('keeps at most 8 MiB, and drops the oldest files first', () => {
  const madeFiles = makeMadeFiles(3 * mebibyte);
  const names = Array.from({ length: 12 }, (_, index) => `file ${index}`);
  for (const name of names) madeFiles.add(name, Buffer.alloc(mebibyte));
  expect(names.filter((name) => madeFiles.get(name))).toEqual(names.slice(4));
  madeFiles.add('large', Buffer.alloc(3 * mebibyte));
  expect(names.filter((name) => madeFiles.get(name))).toEqual(names.slice(7));
  expect(makeTotal(madeFiles, [...names, 'large'])).toBe(8 * mebibyte);
  // A file that is added again is not counted twice.
  for (let round = 0; round < 3; round++) madeFiles.add('large', Buffer.alloc(3 * mebibyte));
  expect(makeTotal(madeFiles, [...names, 'large'])).toBe(8 * mebibyte);
});

function makeTotal(madeFiles: ReturnType<typeof makeMadeFiles>, names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (madeFiles.get(name)?.length ?? 0), 0);
}

test.each([
  ['from memory', 8 * mebibyte, 0],
  ['as a stream if it is larger than the files that are read into memory', 8, 1],
])('answers a request for a new variant with the stored bytes, %s', async (_, readCacheBytes, reads) => {
  const rig = await makeRig(resources, { presets: [card], readCacheBytes });
  const { image } = await rig.upload(await makeUniquePicture());
  const readAll = vi.spyOn(rig.storage, 'readAll');
  const read = vi.spyOn(rig.storage, 'read');
  for (const format of ['webp', 'avif'] as const) {
    const ref = { uuid: image.uuid, preset: 'card', density: 1, format };
    const loaded = await rig.services.deliver.load(everyone, ref, new AbortController().signal);
    if ('redirect' in loaded) throw new Error('The rendition is behind a redirect.');
    const answer = 'body' in loaded ? loaded.body : await buffer(await loaded.open());
    const row = (await rig.image(image.id))!.renditions.find((each) => each.format === format)!;
    expect(row).toMatchObject({ bytes: answer.length, contentHash: sha256Hex(answer) });
    expect(readAll.mock.calls.length + read.mock.calls.length).toBe(reads);
    expect(answer.equals(await rig.storage.readAll(row.storageKey))).toBe(true);
    readAll.mockClear();
    read.mockClear();
  }
});
