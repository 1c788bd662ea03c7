import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { originalKey } from '../../src/storage/keys.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { testFolder } from '../support/inner/folders.ts';
import { describeStorage } from './storage-contract.ts';

describeStorage('local', async () => {
  const root = await testFolder();
  return { storage: await makeLocalStorage(root), cut: (key, bytes) => truncate(join(root, key), bytes) };
});

const key = originalKey(7, 'ab'.repeat(32));
const failed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };
const nobody = 65_534;

/** For root, permissions are no obstacle: then `work` runs as another user. */
async function withoutRoot<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(nobody);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

async function staged(folder: string): Promise<string> {
  const path = join(folder, '.staging', randomUUID());
  await writeFile(path, 'x');
  return path;
}

test('a folder in the place of a file is no stored file', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  await mkdir(join(root, key), { recursive: true });
  expect(await storage.stat(key)).toBeUndefined();
});

test('a folder that somebody removed meanwhile is made again', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  await storage.store([{ path: await staged(root), key }], 'derived');
  await rm(join(root, 'originals'), { recursive: true });
  await storage.store([{ path: await staged(root), key }], 'original');
  expect((await storage.readAll(key)).toString()).toBe('x');
});

test('a store that cannot be written to is a failure of the storage, to be retried', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  const path = await staged(root);
  await writeFile(join(root, 'originals'), 'a file in the place of a folder');
  await expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject(failed);
  await rm(join(root, 'originals'));
  await storage.store([{ path, key }], 'original');
  expect((await storage.readAll(key)).toString()).toBe('x');
});

test('a store whose folder went away says so in its check and its free bytes', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  await rm(root, { recursive: true });
  await expect(storage.check()).rejects.toMatchObject(failed);
  await expect(storage.freeBytes()).rejects.toMatchObject(failed);
});

test('a folder without permission is a failure of the storage, and no file is lost', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  const path = await staged(root);
  await chmod(root, 0o500);
  await withoutRoot(() =>
    expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject({
      ...failed,
      message: expect.stringContaining('EACCES'),
    }),
  );
  await chmod(root, 0o700);
  expect(await readdir(join(root, '.staging'))).toHaveLength(1);
});

test('the system’s own words, which hold paths, stay out of the sentence', async () => {
  const root = await testFolder();
  const storage = await makeLocalStorage(root);
  const error = await storage.readAll(key).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: 'The file is missing from storage.' });
  expect((error as Error).cause).toMatchObject({ code: 'ENOENT' });
});
