import { chmod, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import {
  describeExposedPictureFolder,
  isBelow,
  canMakePrivate,
  makePrivate,
  protectDataFolder,
  getModeIfExposed,
} from '../../src/data-folder/private-folder.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';

const readOctalMode = async (path: string) => ((await lstat(path)).mode & 0o7777).toString(8);

/** Creates a data folder whose files and folders everyone can read and write. */
async function createExposedFolder(fileCount = 3) {
  const root = await makeTestFolder();
  const storageFolder = join(root, 'storage');
  for (const shard of ['aa', 'bb']) {
    await mkdir(join(storageFolder, shard), { recursive: true });
    for (let i = 0; i < fileCount; i++) await writeFile(join(storageFolder, shard, `${i}`), '');
  }
  for (const name of await readdir(root, { recursive: true })) await chmod(join(root, name), 0o777);
  await chmod(root, 0o777);
  return { root, storageFolder };
}

/** Returns the paths of the files and folders to which other users have access. */
async function listExposedPaths(root: string): Promise<string[]> {
  const names = ['.', ...(await readdir(root, { recursive: true }))];
  const modes = await Promise.all(names.map(async (name) => (await lstat(join(root, name))).mode));
  return names.filter((_, i) => ((modes[i] ?? 0) & 0o077) !== 0);
}

test("makes a data folder and its files private, and keeps the owner's permissions", async () => {
  const { root, storageFolder } = await createExposedFolder();
  await writeFile(join(root, 'vitrine.lock'), '', { mode: 0o644 });
  await chmod(join(storageFolder, 'aa', '1'), 0o444);
  const logger = makeRecordingLogger();
  protectDataFolder(root, [storageFolder], logger);
  expect(await listExposedPaths(root)).toEqual([]);
  expect(await readOctalMode(root)).toBe('700');
  expect(await readOctalMode(join(storageFolder, 'aa', '0'))).toBe('700');
  expect(await readOctalMode(join(storageFolder, 'aa', '1'))).toBe('400');
  expect(logger.messages('warn')).toEqual([]);
});

test('makes many files private in the background, and resumes at the next start', async () => {
  const { root, storageFolder } = await createExposedFolder(300);
  const logger = makeRecordingLogger();
  const firstRun = protectDataFolder(root, [storageFolder], logger, 0);
  firstRun.stop();
  expect(await readOctalMode(root)).toBe('700');
  expect(getModeIfExposed(storageFolder)).toBe('0777');
  protectDataFolder(root, [storageFolder], logger, 0);
  await expect.poll(() => getModeIfExposed(storageFolder)).toBe(undefined);
  expect(await listExposedPaths(root)).toEqual([]);
});

test('makes exposed files in a private storage folder private if the data folder is exposed', async () => {
  const { root, storageFolder } = await createExposedFolder();
  await chmod(storageFolder, 0o700);
  protectDataFolder(root, [storageFolder], makeRecordingLogger());
  expect(await listExposedPaths(root)).toEqual([]);
});

test('does not search a folder that is already private', async () => {
  const { root, storageFolder } = await createExposedFolder();
  await chmod(storageFolder, 0o700);
  await chmod(root, 0o700);
  const logger = makeRecordingLogger();
  protectDataFolder(root, [storageFolder], logger);
  expect(await listExposedPaths(storageFolder)).not.toEqual([]);
  expect(logger.lines).toEqual([]);
  makePrivate(storageFolder);
  expect(await listExposedPaths(storageFolder)).toEqual([]);
});

test('does not change symbolic links or their targets', async () => {
  const { root, storageFolder } = await createExposedFolder();
  const otherFolder = await createExposedFolder();
  await symlink(otherFolder.root, join(storageFolder, 'folder'));
  await symlink(join(otherFolder.storageFolder, 'aa', '0'), join(storageFolder, 'file'));
  protectDataFolder(root, [storageFolder], makeRecordingLogger());
  expect(await readOctalMode(otherFolder.root)).toBe('777');
  expect(await readOctalMode(join(otherFolder.storageFolder, 'aa', '0'))).toBe('777');
});

test('does not change the permissions of a shared folder, and warns', async () => {
  const { root, storageFolder } = await createExposedFolder();
  await chmod(root, 0o1777);
  const logger = makeRecordingLogger();
  protectDataFolder(root, [storageFolder], logger);
  expect(await readOctalMode(root)).toBe('1777');
  expect(logger.messages('warn')[0]).toMatch(/mode 1777.*set DATA_DIR to a different folder\.$/);
  expect(await listExposedPaths(storageFolder)).toEqual([]);
  expect([canMakePrivate('/'), canMakePrivate(storageFolder)]).toEqual([false, true]);
});

test('creates a private data folder only if it is used', async () => {
  const root = join(await makeTestFolder(), 'a', 'b');
  protectDataFolder(root, [], makeRecordingLogger());
  await expect(lstat(root)).rejects.toThrow('ENOENT');
  protectDataFolder(root, [join(root, 'storage')], makeRecordingLogger());
  expect(await readOctalMode(root)).toBe('700');
});

test('warns if other users can access a picture folder outside the data folder', async () => {
  const { root, storageFolder } = await createExposedFolder();
  expect(describeExposedPictureFolder(storageFolder, '/elsewhere')).toMatch(/mode 0777.*chmod 700/);
  expect(describeExposedPictureFolder(storageFolder, root)).toBeUndefined();
  await chmod(storageFolder, 0o700);
  expect(describeExposedPictureFolder(storageFolder, '/elsewhere')).toBeUndefined();
  expect([isBelow('/a/b', '/a'), isBelow('/a', '/a'), isBelow('/ab', '/a'), isBelow('/', '/a')]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect(isBelow('/a/..b', '/a')).toBe(true);
});
