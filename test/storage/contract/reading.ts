import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { originalKey } from '../../../src/storage/keys.ts';
import { makeStaging } from '../../../src/storage/staging.ts';
import { listAll, missing, nowhere, put, stage, type StorageUnderTest } from './support.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** The contract tests of reading files. */
export function testReading(makeStorage: () => Promise<StorageUnderTest>): void {
  test('returns the stored bytes with every way of reading', async () => {
    const { storage } = await makeStorage();
    const bytes = randomBytes(5000);
    const key = await put(storage, bytes);
    expect(await storage.readAll(key)).toEqual(bytes);
    expect(await buffer(await storage.read(key))).toEqual(bytes);
    const copy = await storage.localCopy(key);
    expect(await readFile(copy.path)).toEqual(bytes);
    await copy.release();
    expect(await storage.readAll(key)).toEqual(bytes);
  });

  test('returns size and time of a file without opening it', async () => {
    const { storage } = await makeStorage();
    const key = await put(storage, randomBytes(1234));
    const found = await storage.stat(key);
    expect(found).toMatchObject({ key, bytes: 1234 });
    expect(Math.abs(Date.now() - (found?.modifiedAt.getTime() ?? 0))).toBeLessThan(60_000);
    expect(await storage.stat(nowhere)).toBeUndefined();
  });

  test('reads ranges: both ends inclusive, a single byte, the end', async () => {
    const { storage } = await makeStorage();
    const bytes = randomBytes(1000);
    const key = await put(storage, bytes);
    for (const [first, last] of [
      [0, 0],
      [10, 19],
      [990, 999],
      [0, 999],
    ] as const) {
      const part = await buffer(await storage.read(key, { first, last }));
      expect(part).toEqual(bytes.subarray(first, last + 1));
    }
  });

  test('throws FileMissing before any byte is sent, with every way of reading', async () => {
    const { storage } = await makeStorage();
    await expect(storage.read(nowhere)).rejects.toMatchObject(missing);
    await expect(storage.readAll(nowhere)).rejects.toMatchObject(missing);
    await expect(storage.localCopy(nowhere)).rejects.toMatchObject(missing);
  });

  test('lists every stored file, but not staging', async () => {
    const { storage } = await makeStorage();
    expect(await listAll(storage)).toEqual([]);
    const keys = [];
    for (let size = 1; size <= 5; size++) keys.push(await put(storage, randomBytes(size)));
    await stage(storage, Buffer.from('under way'));
    const listed = await listAll(storage);
    expect(listed.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expect(listed.map(({ bytes }) => bytes).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });

  test.each([
    '../outside',
    'originals/../../outside',
    '/etc/passwd',
    'originals//x',
    'originals/.hidden',
    '',
    'x',
  ])('rejects the key %j in every call', async (key) => {
    const { storage } = await makeStorage();
    const path = await stage(storage, Buffer.from('x'));
    const refusal = /is not a storage key/;
    await expect((async () => storage.store([{ path, key }], 'derived'))()).rejects.toThrow(refusal);
    await expect((async () => storage.stat(key))()).rejects.toThrow(refusal);
    await expect((async () => storage.read(key))()).rejects.toThrow(refusal);
    await expect((async () => storage.readAll(key))()).rejects.toThrow(refusal);
    await expect((async () => storage.localCopy(key))()).rejects.toThrow(refusal);
    await expect((async () => storage.remove(key))()).rejects.toThrow(refusal);
  });

  test('streams a large file in constant memory', async () => {
    const { storage } = await makeStorage();
    const size = 96 * 2 ** 20;
    const path = join(storage.stagingDirectory, 'large');
    await writeFile(path, '');
    await truncate(path, size);
    const key = originalKey(1, 'f'.repeat(64));
    await storage.store([{ path, key }], 'derived');
    collectGarbage();
    const before = process.memoryUsage().arrayBuffers;
    let [bytes, most, nextLook] = [0, 0, 0];
    for await (const chunk of await storage.read(key)) {
      bytes += (chunk as Buffer).length;
      if (bytes < nextLook) continue;
      nextLook += size / 16;
      // The driver does not retain what was read.
      collectGarbage();
      most = Math.max(most, process.memoryUsage().arrayBuffers - before);
    }
    expect(bytes).toBe(size);
    expect(most).toBeLessThan(size / 4);
  });

  test('reports its free bytes, and its check leaves no files behind', async () => {
    const { storage } = await makeStorage();
    expect(await storage.freeBytes()).toBeGreaterThan(0);
    await expect(storage.probe()).resolves.toBeUndefined();
    await expect(storage.check()).resolves.toBeUndefined();
    expect(await listAll(storage)).toEqual([]);
    expect(await makeStaging(storage.stagingDirectory).sweep(-1)).toBe(0);
  });
}
