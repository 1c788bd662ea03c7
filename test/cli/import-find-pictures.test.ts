import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findPictures } from '../../src/cli/import/find-pictures.ts';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vitrine-find-'));
});

afterEach(() => rm(folder, { recursive: true }));

async function writeFiles(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(folder, path, '..'), { recursive: true });
    await writeFile(join(folder, path), path);
  }
}

async function find(...inputs: string[]) {
  const result = await findPictures(inputs.map((input) => join(folder, input)));
  return { ...result, files: result.files.map((file) => relative(folder, file)) };
}

test('searches folders recursively and in order', async () => {
  await writeFiles('b.png', 'a.JPG', 'shoes/2.webp', 'shoes/1.tiff', 'shoes/red/0.avif');
  expect(await find('.')).toEqual({
    files: ['a.JPG', 'b.png', 'shoes/1.tiff', 'shoes/2.webp', 'shoes/red/0.avif'],
    skipped: 0,
    problems: [],
  });
});

test('counts other files in a folder as skipped, but ignores hidden files', async () => {
  await writeFiles('a.jpg', 'prices.csv', 'README', '.DS_Store', '.cache/b.jpg');
  expect(await find('.')).toMatchObject({ files: ['a.jpg'], skipped: 2 });
});

test('accepts any file that is specified by name', async () => {
  await writeFiles('prices.csv', '.hidden.jpg');
  expect((await find('prices.csv', '.hidden.jpg')).files).toEqual(['prices.csv', '.hidden.jpg']);
});

test('lists each file only once', async () => {
  await writeFiles('a.jpg', 'shoes/b.jpg');
  expect((await find('shoes', '.', 'a.jpg')).files).toEqual(['shoes/b.jpg', 'a.jpg']);
});

test('does not follow symbolic links inside a folder', async () => {
  await writeFiles('shop/a.jpg', 'outside/b.jpg');
  await symlink(join(folder, 'shop'), join(folder, 'shop/loop'));
  await symlink(join(folder, 'outside'), join(folder, 'shop/outside'));
  await symlink(join(folder, 'outside/b.jpg'), join(folder, 'shop/b.jpg'));
  expect(await find('shop')).toMatchObject({ files: ['shop/a.jpg'], skipped: 3 });
});

test('follows a symbolic link that is specified by name', async () => {
  await writeFiles('shop/a.jpg');
  await symlink(join(folder, 'shop'), join(folder, 'link'));
  expect((await find('link')).files).toEqual(['link/a.jpg']);
});

test('reports a missing path and finds the other files', async () => {
  await writeFiles('a.jpg');
  const result = await find('none', 'a.jpg');
  expect(result.files).toEqual(['a.jpg']);
  expect(result.problems).toEqual([{ file: join(folder, 'none'), reason: 'No such file or folder.' }]);
});
