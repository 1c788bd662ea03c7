import { chmod, lstat, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { upload } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { launch } from '../support/process/server.ts';

/** Runs a command with a umask that gives everyone access to new files. */
const withPermissiveUmask = ['sh', '-c', 'umask 000; exec "$0" "$@"'];

async function listModes(root: string): Promise<[name: string, mode: number][]> {
  const names = ['.', ...(await readdir(root, { recursive: true }))];
  const entries = await Promise.all(
    names.map(async (name): Promise<[string, number][]> => {
      // Decoder inputs and staged files may be removed at any time.
      const file = await lstat(join(root, name)).catch(() => undefined);
      return file ? [[name, file.mode & 0o7777]] : [];
    }),
  );
  return entries.flat();
}

/** Returns the paths of the files and folders to which other users have access. */
async function listExposedPaths(root: string): Promise<string[]> {
  return (await listModes(root)).filter(([, mode]) => (mode & 0o077) !== 0).map(([name]) => name);
}

async function createDataFolder(): Promise<string> {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  return folder;
}

async function serveWithPermissiveUmask(folder: string, env: Record<string, string> = {}) {
  const server = await launch(folder, env, withPermissiveUmask).ready();
  onTestFinished(() => server.kill9());
  return server;
}

test('makes existing files private at startup, and creates new files with private permissions', async () => {
  const folder = await createDataFolder();
  await mkdir(join(folder, 'storage', 'originals', 'ab'), { recursive: true });
  for (const [name] of await listModes(folder)) await chmod(join(folder, name), 0o777);
  const server = await serveWithPermissiveUmask(folder);
  expect(await listExposedPaths(folder)).toEqual([]);
  expect((await upload(server.url, await jpeg('private'))).status).toBe(201);
  expect(await listExposedPaths(folder)).toEqual([]);
  expect(await server.stop()).toMatchObject({ code: 0 });
  expect(await listExposedPaths(folder)).toEqual([]);
  const nameCount = (await readdir(join(folder, 'storage'), { recursive: true })).length;
  expect(nameCount).toBeGreaterThan(6);
});

test('gives pictures outside the data folder the same permissions as their folder', async () => {
  const [folder, pictures] = [await createDataFolder(), await makeFolder()];
  onTestFinished(() => removeFolder(pictures));
  await chmod(pictures, 0o2750);
  const server = await serveWithPermissiveUmask(folder, { STORAGE_PATH: pictures });
  expect(server.log()).toMatch(/Other users of this machine can access the picture folder .*mode 2750/);
  expect((await upload(server.url, await jpeg('shared'))).status).toBe(201);
  for (const [name, mode] of await listModes(pictures))
    if (!name.startsWith('.staging/')) expect([0o2750, 0o640], name).toContain(mode);
  expect(await listExposedPaths(folder)).toEqual([]);
  const { code, stdout } = await runVitrine(['doctor'], { DATA_DIR: folder, STORAGE_PATH: pictures });
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^note {2}privacy .*mode 2750/m)]);
});

test('creates a private data folder, and doctor prints a note if other users can read the folder', {
  tags: 'slow',
}, async () => {
  const parent = await makeFolder();
  onTestFinished(() => removeFolder(parent));
  const folder = join(parent, 'data');
  expect(await runVitrine(['migrate'], { DATA_DIR: folder })).toMatchObject({ code: 0 });
  expect(await listExposedPaths(folder)).toEqual([]);
  await chmod(folder, 0o755);
  const { code, stdout } = await runVitrine(['doctor'], { DATA_DIR: folder });
  expect(stdout).toMatch(/^note {2}privacy .*mode 0755\)\n {6}→ Start Vitrine.*chmod -R go-rwx/m);
  expect(code).toBe(0);
  await chmod(folder, 0o700);
  expect(await listExposedPaths(folder)).toEqual([]);
});
