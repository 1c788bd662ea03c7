import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { renditionKey } from '../../../src/storage/keys.ts';
import { makeStaging } from '../../../src/storage/staging.ts';
import {
  contentHash,
  contentKey,
  listAll,
  fileMissing,
  missingKey,
  put,
  stage,
  type StorageUnderTest,
} from './support.ts';

/** Defines the contract tests for storing and removing files. */
export function testStoring(makeStorage: () => Promise<StorageUnderTest>): void {
  test('moves staged renditions, but keeps staged originals', async () => {
    const { storage } = await makeStorage();
    const bytes = randomBytes(100);
    const [originalPath, renditionPath] = [await stage(storage, bytes), await stage(storage, bytes)];
    await storage.store([{ path: originalPath, key: contentKey(bytes) }], 'original');
    expect(await readFile(originalPath)).toEqual(bytes);
    await storage.store([{ path: renditionPath, key: contentKey(bytes) }], 'derived');
    expect(existsSync(renditionPath)).toBe(false);
    expect(await storage.readAll(contentKey(bytes))).toEqual(bytes);
  });

  test('keeps a stored original when its staged file is removed', async () => {
    const { storage } = await makeStorage();
    const bytes = randomBytes(100);
    const path = await stage(storage, bytes);
    await storage.store([{ path, key: contentKey(bytes) }], 'original');
    await makeStaging(storage.stagingDirectory).discard(path);
    expect(await storage.readAll(contentKey(bytes))).toEqual(bytes);
  });

  test.each(['original', 'derived'] as const)(
    'does not change a file that is stored again (%s)',
    async (kind) => {
      const { storage } = await makeStorage();
      const bytes = randomBytes(100);
      for (let i = 0; i < 2; i++) {
        await storage.store([{ path: await stage(storage, bytes), key: contentKey(bytes) }], kind);
      }
      expect(await listAll(storage)).toMatchObject([{ key: contentKey(bytes), bytes: 100 }]);
    },
  );

  test('returns the complete file while concurrent callers store it', async () => {
    const { storage } = await makeStorage();
    const bytes = randomBytes(200_000);
    const key = await put(storage, bytes);
    const paths = await Promise.all(Array.from({ length: 20 }, () => stage(storage, bytes)));
    const storeCalls = Promise.all(paths.map((path) => storage.store([{ path, key }], 'original')));
    const contents = Promise.all(Array.from({ length: 20 }, () => storage.readAll(key)));
    for (const content of await contents) expect(content.equals(bytes)).toBe(true);
    await storeCalls;
    expect(await listAll(storage)).toMatchObject([{ key, bytes: 200_000 }]);
  });

  test.each(['original', 'derived'] as const)(
    'repairs a truncated file by storing it again (%s)',
    async (kind) => {
      const { storage, truncateFile } = await makeStorage();
      const bytes = randomBytes(1000);
      const key = await put(storage, bytes);
      await truncateFile(key, 300);
      expect((await storage.stat(key))?.bytes).toBe(300);
      await storage.store([{ path: await stage(storage, bytes), key }], kind);
      expect(await storage.readAll(key)).toEqual(bytes);
    },
  );

  test('stores several files in one call', async () => {
    const { storage } = await makeStorage();
    const hash = contentHash(randomBytes(8));
    const presets = ['thumb', 'card', 'zoom'];
    const files = await Promise.all(
      presets.map(async (preset) => ({
        path: await stage(storage, Buffer.from(preset)),
        key: renditionKey(1, hash, preset, '0123456789'),
      })),
    );
    await storage.store(files, 'derived');
    for (const [index, { key }] of files.entries())
      expect((await storage.readAll(key)).toString()).toBe(presets[index]);
  });

  test('removes no files if there are no unfinished uploads', async () => {
    const { storage } = await makeStorage();
    const key = await put(storage, randomBytes(10));
    expect(await storage.sweepUnfinished(-60_000)).toBe(0);
    expect(await listAll(storage)).toMatchObject([{ key, bytes: 10 }]);
  });

  test('removes a file, and does nothing if the file does not exist', async () => {
    const { storage } = await makeStorage();
    const key = await put(storage, randomBytes(10));
    await storage.remove(key);
    expect(await storage.stat(key)).toBeUndefined();
    await expect(storage.readAll(key)).rejects.toMatchObject(fileMissing);
    await expect(storage.remove(key)).resolves.toBeUndefined();
    await expect(storage.remove(missingKey)).resolves.toBeUndefined();
  });
}
