import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { call } from '../support/process/client.ts';
import { launch, startServer } from '../support/process/server.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';

test("prints the server's address, its data folder and its embedded components", async () => {
  const server = await startServer({ PORT: '0' });
  await expect.poll(() => server.log()).toContain(`database: embedded in ${join(server.dataDir, 'db')}`);
  expect(server.log()).toMatch(/workers are woken by this process/);
  expect(server.log()).toContain(`pictures: ${join(server.dataDir, 'storage')}`);
  expect(server.log()).toContain(server.url);
  expect((await call(`${server.url}/healthz`)).status).toBe(200);
  // Other commands read the address from this file.
  const { pid, url, dataDir } = server;
  expect(JSON.parse(await readFile(join(dataDir, 'vitrine.pid'), 'utf8'))).toMatchObject({ pid, url });
});

test('exits with a message if the port is in use, and releases the data folder', {
  tags: 'scenario',
}, async () => {
  const firstServer = await startServer();
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const secondServer = launch(folder, { PORT: new URL(firstServer.url).port });
  onTestFinished(() => secondServer.kill9());
  expect(await secondServer.exited).toEqual({ code: 1, signal: null });
  expect(secondServer.log()).toMatch(/EADDRINUSE|in use/);
  await startServer({}, folder);
});

test('exits with code 2 and reports all invalid variables', async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const server = launch(folder, { WORKER_CONCURRENCY: 'many', MAX_PIXELS: '-5' });
  expect(await server.exited).toEqual({ code: 2, signal: null });
  expect(server.log()).toMatch(/MAX_PIXELS: "-5"/);
  expect(server.log()).toMatch(/WORKER_CONCURRENCY: "many"/);
});

test('exits with code 1 if the storage folder cannot be created', async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const server = launch(folder, { STORAGE_PATH: join(folder, 'vitrine.lock', 'storage') });
  onTestFinished(() => server.kill9());
  expect(await server.exited).toEqual({ code: 1, signal: null });
  expect(server.log()).toMatch(/vitrine\.lock/);
});
