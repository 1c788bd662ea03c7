import { existsSync, readdirSync } from 'node:fs';
import { rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { upload } from '../support/process/client.ts';
import { makeDataFolder, makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { launch, startServer } from '../support/process/server.ts';
import { isThorough } from '../support/thoroughness.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

/** Waits until the new database has at least `fileCount` files. A complete database has about a thousand files. */
async function waitForFiles(folder: string, fileCount: number): Promise<void> {
  const deadline = performance.now() + waitTimeoutMs;
  while (performance.now() < deadline) {
    if (existsSync(folder) && readdirSync(folder, { recursive: true }).length >= fileCount) return;
    await sleep(10);
  }
  throw new Error(`The database did not reach ${fileCount} files.`);
}

/** Numbers of database files at which the server is killed during its first start. */
const killPoints = isThorough ? [0, 600, 1015] : [600];

test('starts successfully if the server was killed during its first start', {
  tags: 'scenario',
}, async () => {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  const database = join(folder, 'db');
  for (const fileCount of killPoints) {
    // The start must not find the complete database of the previous round.
    await removeFolder(database);
    // The server rejects a storage folder that belongs to a different database.
    await removeFolder(join(folder, 'storage'));
    const server = launch(folder);
    onTestFinished(() => server.kill9());
    await waitForFiles(database, fileCount);
    await server.kill9();
    const nextServer = launch(folder);
    onTestFinished(() => nextServer.kill9());
    const { url } = await nextServer.ready();
    expect((await upload(url, await jpeg(`first ${fileCount}`))).status).toBe(201);
    await nextServer.kill9();
  }
});

test('renames an incomplete database and creates a new database', { tags: 'slow' }, async () => {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  await rm(join(folder, 'db', 'VITRINE_READY'));
  await truncate(join(folder, 'db', 'global', 'pg_control'));
  const { url } = await startServer({}, folder);
  expect((await upload(url, await jpeg('new database'))).status).toBe(201);
  expect(existsSync(join(folder, 'db.unfinished'))).toBe(true);
});

test('exits cleanly on a stop signal during the first start', { tags: 'slow' }, async () => {
  const folder = await makeFolder();
  const server = launch(folder);
  onTestFinished(async () => {
    await server.kill9();
    await removeFolder(folder);
  });
  await sleep(1_500);
  expect(await server.stop()).toMatchObject({ code: 0, signal: null });
  const { url } = await startServer({}, folder);
  expect((await upload(url, await jpeg('after a stop'))).status).toBe(201);
});
