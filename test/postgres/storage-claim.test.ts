import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { testFolder } from '../support/inner/folders.ts';
import { uniquePicture } from '../support/inner/pictures.ts';
import { testServerDatabase, urlOfDatabase } from '../support/inner/server-database.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { call, finishedImage, uploadQueued } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { s3Environment } from '../support/process/s3.ts';
import { startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { services } from '../support/services.ts';

async function shared(more: Record<string, string> = {}) {
  const { name } = await testServerDatabase();
  return { DATABASE_URL: urlOfDatabase(name), WORKER_CONCURRENCY: '1', ...more };
}

test('refuses to start with a storage that has no mark, and ends at once', async () => {
  const env = await shared();
  await startServer(env, await testFolder());
  const began = performance.now();
  const { code, stderr } = await runVitrine(['worker'], { ...env, DATA_DIR: await testFolder() });
  expect(code).toBe(1);
  expect(stderr).toMatch(/does not hold the pictures of this database/);
  // Open connections would delay the end by a minute.
  expect(performance.now() - began).toBeLessThan(45_000);
});

/** Starts an API on a bucket, and workers that reach the same store through a port that is closed at first. */
async function withStoreAway() {
  const env = await shared(s3Environment());
  const api = await startServer({ ...env, ENABLE_WORKER: 'false' }, await testFolder());
  const store = new URL(services.s3Endpoint ?? '');
  const proxy = await startTcpProxy({ host: store.hostname, port: Number(store.port) });
  await proxy.stop();
  const through = { ...env, S3_ENDPOINT: `http://127.0.0.1:${proxy.port}`, DATA_DIR: await testFolder() };
  return { api, proxy, through };
}

const waits = 'jobs and sweeps wait until it has been checked';

test.runIf(services.s3Endpoint)('waits at the start of a worker for an unreachable store', async () => {
  const { api, proxy, through } = await withStoreAway();
  const worker = await startWorker(through);
  expect(worker.log()).toContain(waits);
  const { body } = await uploadQueued(api.url, await uniquePicture());
  await sleep(1_500);
  expect(await call(`${api.url}/v1/images/${body.asset_id}`)).toMatchObject({ body: { status: 'pending' } });
  await proxy.resume();
  expect(await finishedImage(api.url, body.asset_id)).toMatchObject({ status: 'completed' });
  expect(worker.log()).toContain('the storage responds, and belongs to this database');
  expect(await worker.stop()).toBe(0);
});

test.runIf(services.s3Endpoint)(
  'ends a worker whose store belongs to another installation before it writes anything',
  async () => {
    const { api, proxy, through } = await withStoreAway();
    const worker = await startWorker({ ...through, S3_PREFIX: 'of-somebody-else/' });
    const { body } = await uploadQueued(api.url, await uniquePicture());
    await proxy.resume();
    expect(await worker.exited).toBe(1);
    expect(worker.log()).toMatch(/this process exits: The storage does not hold the pictures/);
    expect(await call(`${api.url}/v1/images/${body.asset_id}`)).toMatchObject({
      body: { status: 'pending' },
    });
  },
);
