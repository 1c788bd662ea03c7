import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, afterAll, expect, onTestFinished, test } from 'vitest';
import { call } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { truncatedJpeg, jpeg } from '../support/process/pictures.ts';
import { startServer, useServer } from '../support/process/server.ts';
import { createKey } from '../support/process/vitrine-keys.ts';

const server = useServer();
let pictures: string;

beforeAll(async () => {
  pictures = await makeFolder();
  await mkdir(join(pictures, 'more'));
  for (const name of ['a.jpg', 'b.jpg', 'more/c.jpg'])
    await writeFile(join(pictures, name), await jpeg(name));
  await writeFile(join(pictures, 'notes.txt'), 'no picture');
});
afterAll(() => removeFolder(pictures));

const runImport = (args: string[], env: Record<string, string> = {}) =>
  runVitrine(['import', pictures, ...args], { DATA_DIR: server().dataDir, ...env });
const countImages = async (base: string, tenant: string) =>
  (await call(`${base}/v1/images?tenant=${tenant}`)).body['total'];

test('finds the running server by its data folder, and does not import files twice', async () => {
  const firstRun = await runImport(['--tenant', 'shop']);
  expect(firstRun.code).toBe(0);
  expect(firstRun.stdout).toMatch(/^3 images: 3 new, 0 known, 0 refused/);
  const secondRun = await runImport(['--tenant', 'shop']);
  expect([secondRun.code, secondRun.stdout]).toMatchObject([0, expect.stringMatching(/0 new, 3 known/)]);
  expect(await countImages(server().url, 'shop')).toBe(3);
});

test('requires no data folder with --url, and prints the summary as JSON', async () => {
  const invalidFolder = join(pictures, 'more', 'c.jpg', 'no-folder');
  const args = ['--url', server().url, '--tenant', 'by-url', '--queued', '--json'];
  const { code, stdout } = await runImport(args, { DATA_DIR: invalidFolder });
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ found: 3, new: 3, refused: [], failed: [], stopped: null });
  expect(await countImages(server().url, 'by-url')).toBe(3);
});

test('says once that the server requires an API key, that the key is wrong, or that it belongs to a different tenant', async () => {
  const { url, dataDir } = await startServer({ AUTH: 'keys' });
  const env = { AUTH: 'keys', DATA_DIR: dataDir };
  const shopKey = await createKey(env, '--role', 'editor', '--tenant', 'shop');
  const cases: [key: string, args: string[], message: RegExp][] = [
    ['', [], /The server requires an API key: set VITRINE_API_KEY\./g],
    [`${shopKey}x`, [], /The server does not accept the API key in VITRINE_API_KEY\./g],
    [shopKey, ['--tenant', 'rival'], /rival/g],
  ];
  for (const [key, args, message] of cases) {
    const { code, stdout } = await runImport(['--url', url, ...args], { VITRINE_API_KEY: key });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^3 images: 0 new, 0 known, 0 refused[\s\S]*\nStopped; 3 images not finished\. /);
    expect(stdout.match(message)).toHaveLength(1);
  }
});

test('lists rejected files with their reasons, and exits with code 1', async () => {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  await writeFile(join(folder, 'good.jpg'), await jpeg('good'));
  await writeFile(join(folder, 'cut.jpg'), await truncatedJpeg('cut'));
  await writeFile(join(folder, 'page.jpg'), '<!doctype html><html></html>');
  for (const mode of [[], ['--queued']]) {
    const args = ['import', folder, '--tenant', `refused${mode.length}`, ...mode];
    const { code, stdout } = await runVitrine(args, { DATA_DIR: server().dataDir });
    expect(code).toBe(1);
    expect(stdout).toMatch(/1 new, 0 known, 2 refused/);
    expect(stdout).toMatch(/cut\.jpg: .{15,}/);
    expect(stdout).toMatch(/page\.jpg: This is an HTML page/);
  }
});

test('reports an unreachable server and suggests a solution', async () => {
  const { code, stderr } = await runImport(['--url', 'http://127.0.0.1:9']);
  expect(code).toBe(1);
  expect(stderr).toMatch(/No response from http:\/\/127\.0\.0\.1:9 .*\n.*vitrine serve/);
});

test('starts a temporary server if none is running', async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const firstRun = await runImport([], { DATA_DIR: folder });
  expect(firstRun.code).toBe(0);
  expect(firstRun.stderr).toContain(`No server is using ${folder}; starting one for this command.`);
  expect(firstRun.stdout).toMatch(/^3 images: 3 new/);
  const secondRun = await runImport([], { DATA_DIR: folder });
  expect([secondRun.code, secondRun.stdout]).toMatchObject([0, expect.stringMatching(/0 new, 3 known/)]);
});
