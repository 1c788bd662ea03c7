import { expect, test, vi } from 'vitest';
import { selectRows } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { call, upload, uploadQueued, waitForFinishedImage } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';

const serverPresets = '{"thumb": 20, "card": 40}';
const workerPresets = '{"thumb": 20, "card": 60, "hero": 90}';

/** Creates a database and a storage folder that processes with different presets share. */
async function makeSharedEnvironment() {
  const { name, database } = await openTestServerDatabase();
  const folder = await makeTestFolder();
  const env = { DATABASE_URL: serverDatabaseUrl(name), DATA_DIR: folder, WORKER_CONCURRENCY: '1' };
  return { database, env, folder };
}

test('a worker with other presets makes the renditions of the server, and says so', async () => {
  const { database, env, folder } = await makeSharedEnvironment();
  const server = await startServer({ ...env, PRESETS: serverPresets, ENABLE_WORKER: 'false' }, folder);
  const worker = await startWorker({ ...env, PRESETS: workerPresets });
  expect(worker.log()).toContain(
    'follows the presets in force (version 1), which differ from PRESETS of this process: removed: hero; changed: card (height, width)',
  );
  const { asset_id: id } = (await uploadQueued(server.url, await makeUniquePicture())).body;
  const image = await waitForFinishedImage(server.url, id);
  expect(image.renditions.map(({ preset }) => preset)).toEqual(['thumb', 'card']);
  const sizes = await selectRows(
    database,
    "SELECT preset, greatest(width, height) AS side FROM renditions WHERE format = 'jpeg' ORDER BY side",
  );
  expect(sizes).toEqual([
    { preset: 'thumb', side: 20 },
    { preset: 'card', side: 40 },
  ]);
  const { code, stdout } = await runVitrine(['doctor'], { ...env, PRESETS: workerPresets });
  expect(code, stdout).toBe(0);
  expect(stdout).toMatch(/^note {2}presets .*differs from PRESETS here: removed: hero; changed: card/m);
});

test('the server that starts last decides, and running processes follow it', async () => {
  const { env, folder } = await makeSharedEnvironment();
  const first = await startServer({ ...env, PRESETS: serverPresets, ENABLE_WORKER: 'false' }, folder);
  const worker = await startWorker({ ...env, PRESETS: serverPresets });
  expect((await call(`${first.url}/v1/healthz`)).body['checks']).not.toHaveProperty('presets');
  const last = await startServer({ ...env, PRESETS: workerPresets, ENABLE_WORKER: 'false' }, folder);
  expect(last.log()).toContain('this process has changed the presets in force (version 2): added: hero');
  await vi.waitFor(() => {
    for (const running of [first, worker])
      expect(running.log()).toContain('follows the presets in force (version 2), which differ from PRESETS');
  }, waitTimeoutMs);
  expect((await call(`${first.url}/v1/healthz`)).body['checks']).toMatchObject({
    presets: { ok: true, warning: expect.stringContaining('added: hero') },
  });

  const { body } = await upload(first.url, await makeUniquePicture());
  expect(body.renditions.map(({ preset }) => preset)).toEqual(['thumb', 'card', 'hero']);
  expect((await call(`${first.url}/v1/images/${body.id}/renditions/hero`)).status).toBe(200);
});
