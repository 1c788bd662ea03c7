import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Task } from '../../../src/imaging/pool/messages.ts';
import { makeWorkFolder, sweepWorkFolders } from '../../../src/imaging/pool/work-folder.ts';
import { limits } from '../fixtures/pictures.ts';
import { makeTestPool, makePictureFolder } from './setup.ts';

const comparisonTask = (path: string, ...others: string[]): Task<'compare'> => ({
  kind: 'compare',
  request: { path, limits, others: others.map((other, i) => ({ name: String(i), path: other })) },
});

test('links the inputs into the work folder during the task', async () => {
  const root = await makePictureFolder('a.jpg', 'b.jpg');
  const folder = makeWorkFolder(join(root, 'decoders'));
  const [a, b] = [join(root, 'a.jpg'), join(root, 'b.jpg')];
  const { task, removeInputs } = await folder.place(comparisonTask(a, a, b));
  const { path, others } = task.request;
  const linkedPaths = [path, ...others.map((other) => other.path)];
  expect(linkedPaths.map((file) => file.startsWith(folder.path))).toEqual([true, true, true]);
  expect(linkedPaths.map((file) => statSync(file).ino)).toEqual([a, a, b].map((file) => statSync(file).ino));
  removeInputs();
  expect(await readdir(folder.path)).toEqual([]);
  expect(statSync(a).nlink).toBe(1);
});

test('leaves no files if an input is missing', async () => {
  const root = await makePictureFolder('a.jpg');
  const folder = makeWorkFolder(join(root, 'decoders'));
  const task = comparisonTask(join(root, 'a.jpg'), join(root, 'none.jpg'));
  await expect(folder.place(task)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(folder.path)).toEqual([]);
});

const memoryDisk = '/dev/shm';
const isSeparateDisk =
  existsSync(memoryDisk) && statSync(memoryDisk).dev !== statSync(import.meta.dirname).dev;
if (!isSeparateDisk) console.log('skipped: /dev/shm is not a separate file system');

test.skipIf(!isSeparateDisk)('copies an input from a different file system', async () => {
  const root = await makePictureFolder('a.jpg');
  const otherDisk = await mkdtemp(join(memoryDisk, 'decoders-'));
  onTestFinished(() => rm(otherDisk, { recursive: true }));
  const { task, removeInputs } = await makeWorkFolder(otherDisk).place(comparisonTask(join(root, 'a.jpg')));
  expect(await readFile(task.request.path)).toEqual(await readFile(join(root, 'a.jpg')));
  removeInputs();
});

test('removes abandoned folders after a day, or immediately if no other process uses the parent folder', async () => {
  const root = await makePictureFolder();
  const [oldFolder, usedFolder] = ['old', 'used'].map((name) => join(root, name)) as [string, string];
  for (const folder of [oldFolder, usedFolder]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'input.1'), '');
  }
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  utimesSync(oldFolder, yesterday, yesterday);
  sweepWorkFolders(root, false);
  expect(await readdir(root)).toEqual(['used']);
  sweepWorkFolders(root, true);
  expect(await readdir(root)).toEqual([]);
  expect(() => sweepWorkFolders(join(root, 'none'), true)).not.toThrow();
});

test('recreates the folder if it was removed, and removes it on close', async () => {
  const root = await makePictureFolder('good.jpg');
  const workDirectory = join(root, 'decoders');
  const pool = makeTestPool({ workDirectory });
  const probe = () => pool.probe({ path: join(root, 'good.jpg'), limits });
  await probe();
  await rm(workDirectory, { recursive: true });
  await expect(probe()).resolves.toMatchObject({ width: 300 });
  await pool.close();
  expect(await readdir(workDirectory)).toEqual([]);
});
