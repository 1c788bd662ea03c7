import { randomUUID } from 'node:crypto';
import { chmod, mkdir, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { originalKey } from '../../src/storage/keys.ts';
import { makeLocalStorage } from '../../src/storage/local.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { describeStorage } from './storage-contract.ts';

describeStorage('local', async () => {
  const root = await makeTestFolder();
  return {
    storage: await makeLocalStorage(root),
    truncateFile: (key, bytes) => truncate(join(root, key), bytes),
  };
});

const key = originalKey(7, 'ab'.repeat(32));
const storageFailed = { name: 'AppError', code: 'storage_failed', failureClass: 'transient' };
const nobodyUserId = 65_534;

/** Runs `work` as an unprivileged user, because permissions do not restrict root. */
async function withoutRoot<T>(work: () => Promise<T>): Promise<T> {
  if (process.geteuid?.() !== 0) return work();
  process.seteuid?.(nobodyUserId);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}

async function stageFile(folder: string): Promise<string> {
  const path = join(folder, '.staging', randomUUID());
  await writeFile(path, 'x');
  return path;
}

test('does not report a folder as a stored file', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  await mkdir(join(root, key), { recursive: true });
  expect(await storage.stat(key)).toBeUndefined();
});

test('recreates a folder that was removed at run time', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  await storage.store([{ path: await stageFile(root), key }], 'derived');
  await rm(join(root, 'originals'), { recursive: true });
  await storage.store([{ path: await stageFile(root), key }], 'original');
  expect((await storage.readAll(key)).toString()).toBe('x');
});

test('reports an unwritable store as a transient storage failure', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  const path = await stageFile(root);
  await writeFile(join(root, 'originals'), 'a file instead of a folder');
  await expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject(storageFailed);
  await rm(join(root, 'originals'));
  await storage.store([{ path, key }], 'original');
  expect((await storage.readAll(key)).toString()).toBe('x');
});

test('reports a missing root folder in `check` and `freeBytes`', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  await rm(root, { recursive: true });
  await expect(storage.check()).rejects.toMatchObject(storageFailed);
  await expect(storage.freeBytes()).rejects.toMatchObject(storageFailed);
});

test('reports a missing permission as a storage failure', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  const path = await stageFile(root);
  await chmod(root, 0o500);
  await withoutRoot(() =>
    expect(storage.store([{ path, key }], 'original')).rejects.toMatchObject({
      ...storageFailed,
      message: expect.stringContaining('EACCES'),
    }),
  );
  await chmod(root, 0o700);
  expect(await readdir(join(root, '.staging'))).toHaveLength(1);
});

test('does not include paths in the error message', async () => {
  const root = await makeTestFolder();
  const storage = await makeLocalStorage(root);
  const error = await storage.readAll(key).catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ message: 'The file is missing from storage.' });
  expect((error as Error).cause).toMatchObject({ code: 'ENOENT' });
});
