import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { originalKey } from '../../../src/storage/keys.ts';
import { makeStaging } from '../../../src/storage/staging.ts';
import { listAll, fileMissing, missingKey, put, stage, type StorageUnderTest } from './support.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Defines the contract tests for reading files. */
export function testReading(makeStorage: () => Promise<StorageUnderTest>): void {
  test('returns the stored bytes from every read method', async () => {
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

  test('returns the size and modification time of a file', async () => {
    const { storage } = await makeStorage();
    const key = await put(storage, randomBytes(1234));
    const storedFile = await storage.stat(key);
    expect(storedFile).toMatchObject({ key, bytes: 1234 });
    expect(Math.abs(Date.now() - (storedFile?.modifiedAt.getTime() ?? 0))).toBeLessThan(60_000);
    expect(await storage.stat(missingKey)).toBeUndefined();
  });

  test('reads ranges with inclusive ends', async () => {
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

  test('rejects with FileMissing in every read method before returning a stream', async () => {
    const { storage } = await makeStorage();
    await expect(storage.read(missingKey)).rejects.toMatchObject(fileMissing);
    await expect(storage.readAll(missingKey)).rejects.toMatchObject(fileMissing);
    await expect(storage.localCopy(missingKey)).rejects.toMatchObject(fileMissing);
  });

  test('lists every stored file, but no staged files', async () => {
    const { storage } = await makeStorage();
    expect(await listAll(storage)).toEqual([]);
    const keys = [];
    for (let size = 1; size <= 5; size++) keys.push(await put(storage, randomBytes(size)));
    await stage(storage, Buffer.from('staged'));
    const listedFiles = await listAll(storage);
    expect(listedFiles.map(({ key }) => key).toSorted()).toEqual(keys.toSorted());
    expect(listedFiles.map(({ bytes }) => bytes).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5]);
  });

  test.each([
    '../outside',
    'originals/../../outside',
    '/etc/passwd',
    'originals//x',
    'originals/.hidden',
    '',
    'x',
  ])('rejects the key %j in every method', async (key) => {
    const { storage } = await makeStorage();
    const path = await stage(storage, Buffer.from('x'));
    const invalidKey = /is not a storage key/;
    await expect((async () => storage.store([{ path, key }], 'derived'))()).rejects.toThrow(invalidKey);
    await expect((async () => storage.stat(key))()).rejects.toThrow(invalidKey);
    await expect((async () => storage.read(key))()).rejects.toThrow(invalidKey);
    await expect((async () => storage.readAll(key))()).rejects.toThrow(invalidKey);
    await expect((async () => storage.localCopy(key))()).rejects.toThrow(invalidKey);
    await expect((async () => storage.remove(key))()).rejects.toThrow(invalidKey);
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
    const bytesBefore = process.memoryUsage().arrayBuffers;
    let [bytes, peakBytes, nextSample] = [0, 0, 0];
    for await (const chunk of await storage.read(key)) {
      bytes += (chunk as Buffer).length;
      if (bytes < nextSample) continue;
      nextSample += size / 16;
      // Garbage is collected first, so that only memory retained by the storage driver is counted.
      collectGarbage();
      peakBytes = Math.max(peakBytes, process.memoryUsage().arrayBuffers - bytesBefore);
    }
    expect(bytes).toBe(size);
    expect(peakBytes).toBeLessThan(size / 4);
  });

  test('reports the free space, and leaves no files behind after a check', async () => {
    const { storage } = await makeStorage();
    expect(await storage.freeBytes()).toBeGreaterThan(0);
    await expect(storage.probe()).resolves.toBeUndefined();
    await expect(storage.check()).resolves.toBeUndefined();
    expect(await listAll(storage)).toEqual([]);
    expect(await makeStaging(storage.stagingDirectory).sweep(-1)).toBe(0);
  });
}
