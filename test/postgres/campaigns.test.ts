import { expect, test } from 'vitest';
import { selectRows } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { runCampaign } from '../support/process/campaign-run.ts';
import { upload } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { timeScale } from '../support/time-scale.ts';

const imageCount = 240;
const concurrency = 2;

test('a re-rendering whose worker is killed three times fails no read, and records no rendition twice', {
  tags: ['scenario', 'slow'],
  timeout: 240_000 * timeScale,
}, async () => {
  const { name, database } = await openTestServerDatabase();
  const folder = await makeTestFolder();
  const env = {
    DATABASE_URL: serverDatabaseUrl(name),
    DATA_DIR: folder,
    LEASE_SECONDS: '4',
    NEAR_DUPLICATES: 'flag',
    ENABLE_WORKER: 'false',
    READ_CACHE_MB: '0',
  };
  const oldServer = await startServer({ ...env, PRESETS: '{"card": 80}' }, folder);
  for (let i = 0; i < imageCount; i += 8)
    await Promise.all(
      Array.from({ length: 8 }, async () => upload(oldServer.url, await makeUniquePicture())),
    );
  await oldServer.stop();
  const newSettings = { ...env, PRESETS: '{"card": {"width": 60, "height": 60, "eager": "all"}}' };
  const server = await startServer(newSettings, folder);
  const report = await runCampaign({
    serverUrl: server.url,
    query: (statement) => selectRows(database, statement),
    preset: 'card',
    kills: 3,
    startWorker: async () =>
      (await startWorker({ ...newSettings, WORKER_CONCURRENCY: String(concurrency) })).kill9,
    timeoutMs: 200_000 * timeScale,
  });
  expect(report.failedReads).toEqual([]);
  expect(report).toMatchObject({
    total: imageCount,
    failed: 0,
    repeated: 0,
    simultaneous: 0,
    missing: 0,
    kills: 3,
  });
  expect(report.reads).toBeGreaterThan(100);
  // A worker has at most two jobs per decoder in work.
  expect(report.lostLeases).toBeLessThanOrEqual(3 * 2 * concurrency);
});
