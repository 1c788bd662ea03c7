import { existsSync, mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Task } from '../../../src/imaging/pool/messages.ts';
import { makeWorkFolder, sweepWorkFolders } from '../../../src/imaging/pool/work-folder.ts';
import { limits } from '../fixtures/pictures.ts';
import { faultyPool, pictureFolder } from './setup.ts';

const comparing = (path: string, ...others: string[]): Task<'compare'> => ({
  kind: 'compare',
  request: { path, limits, others: others.map((other, at) => ({ name: String(at), path: other })) },
});

test('links the inputs into the folder for the duration of the task', async () => {
  const root = await pictureFolder('a.jpg', 'b.jpg');
  const folder = makeWorkFolder(join(root, 'decoders'));
  const [a, b] = [join(root, 'a.jpg'), join(root, 'b.jpg')];
  const { task, removeInputs } = await folder.place(comparing(a, a, b));
  const { path, others } = task.request;
  const placed = [path, ...others.map((other) => other.path)];
  expect(placed.map((each) => each.startsWith(folder.path))).toEqual([true, true, true]);
  expect(placed.map((each) => statSync(each).ino)).toEqual([a, a, b].map((each) => statSync(each).ino));
  await removeInputs();
  expect(await readdir(folder.path)).toEqual([]);
  expect(statSync(a).nlink).toBe(1);
});

test('leaves no file if an input is missing', async () => {
  const root = await pictureFolder('a.jpg');
  const folder = makeWorkFolder(join(root, 'decoders'));
  const task = comparing(join(root, 'a.jpg'), join(root, 'none.jpg'));
  await expect(folder.place(task)).rejects.toMatchObject({ code: 'ENOENT' });
  expect(await readdir(folder.path)).toEqual([]);
});

const memoryDisk = '/dev/shm';
const isOtherDisk = existsSync(memoryDisk) && statSync(memoryDisk).dev !== statSync(import.meta.dirname).dev;
if (!isOtherDisk) console.log('skipped: /dev/shm is not a separate file system');

test.skipIf(!isOtherDisk)('copies an input from another file system', async () => {
  const root = await pictureFolder('a.jpg');
  const elsewhere = await mkdtemp(join(memoryDisk, 'decoders-'));
  onTestFinished(() => rm(elsewhere, { recursive: true }));
  const { task, removeInputs } = await makeWorkFolder(elsewhere).place(comparing(join(root, 'a.jpg')));
  expect(await readFile(task.request.path)).toEqual(await readFile(join(root, 'a.jpg')));
  await removeInputs();
});

test('removes abandoned folders after a day, or at once if no other process uses the parent', async () => {
  const root = await pictureFolder();
  const [old, used] = ['old', 'used'].map((name) => join(root, name)) as [string, string];
  for (const folder of [old, used]) {
    mkdirSync(folder);
    writeFileSync(join(folder, 'input.1'), '');
  }
  const yesterday = new Date(Date.now() - 25 * 3_600_000);
  utimesSync(old, yesterday, yesterday);
  sweepWorkFolders(root, false);
  expect(await readdir(root)).toEqual(['used']);
  sweepWorkFolders(root, true);
  expect(await readdir(root)).toEqual([]);
  expect(() => sweepWorkFolders(join(root, 'none'), true)).not.toThrow();
});

test('recreates a removed folder, and removes it on close', async () => {
  const root = await pictureFolder('good.jpg');
  const workDirectory = join(root, 'decoders');
  const pool = faultyPool({ workDirectory });
  const probe = () => pool.probe({ path: join(root, 'good.jpg'), limits });
  await probe();
  await rm(workDirectory, { recursive: true });
  await expect(probe()).resolves.toMatchObject({ width: 300 });
  await pool.close();
  expect(await readdir(workDirectory)).toEqual([]);
});
