import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { call, waitForFinishedImage, uploadQueued } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { s3Environment } from '../support/process/s3.ts';
import { startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { services } from '../support/services.ts';

/** Creates a database and returns the environment of processes that share it. */
async function makeSharedEnvironment(settings: Record<string, string> = {}) {
  const { name } = await openTestServerDatabase();
  return { DATABASE_URL: serverDatabaseUrl(name), WORKER_CONCURRENCY: '1', ...settings };
}

test('exits immediately if storage is not marked as belonging to the database', async () => {
  const env = await makeSharedEnvironment();
  await startServer(env, await makeTestFolder());
  const startedAt = performance.now();
  const { code, stderr } = await runVitrine(['worker'], { ...env, DATA_DIR: await makeTestFolder() });
  expect(code).toBe(1);
  expect(stderr).toMatch(/does not contain the images of this database/);
  // Open connections would delay the exit by a minute.
  expect(performance.now() - startedAt).toBeLessThan(45_000);
});

/**
 * Starts an API server with a bucket. Workers with `workerEnv` access the bucket through a proxy that is initially
 * stopped.
 */
async function startWithStoppedProxy() {
  const env = await makeSharedEnvironment(s3Environment());
  const api = await startServer({ ...env, ENABLE_WORKER: 'false' }, await makeTestFolder());
  const endpoint = new URL(services.s3Endpoint ?? '');
  const proxy = await startTcpProxy({ host: endpoint.hostname, port: Number(endpoint.port) });
  await proxy.stop();
  const workerEnv = {
    ...env,
    S3_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
    DATA_DIR: await makeTestFolder(),
  };
  return { api, proxy, workerEnv };
}

const waitingMessage = 'jobs and sweeps are paused until it does';

test.runIf(services.s3Endpoint)(
  'waits for unreachable storage when a worker starts',
  { tags: 'scenario' },
  async () => {
    const { api, proxy, workerEnv } = await startWithStoppedProxy();
    const worker = await startWorker(workerEnv);
    expect(worker.log()).toContain(waitingMessage);
    const { body } = await uploadQueued(api.url, await makeUniquePicture());
    await sleep(1_500);
    expect(await call(`${api.url}/v1/images/${body.asset_id}`)).toMatchObject({
      body: { status: 'pending' },
    });
    await proxy.resume();
    expect(await waitForFinishedImage(api.url, body.asset_id)).toMatchObject({ status: 'completed' });
    expect(worker.log()).toContain('storage is responding and belongs to this database');
    expect(await worker.stop()).toBe(0);
  },
);

test.runIf(services.s3Endpoint)(
  'stops a worker before it writes anything if its storage belongs to a different installation',
  async () => {
    const { api, proxy, workerEnv } = await startWithStoppedProxy();
    const worker = await startWorker({ ...workerEnv, S3_PREFIX: 'other-installation/' });
    const { body } = await uploadQueued(api.url, await makeUniquePicture());
    await proxy.resume();
    expect(await worker.exited).toBe(1);
    expect(worker.log()).toMatch(
      /this process is exiting: This storage location does not contain the images/,
    );
    expect(await call(`${api.url}/v1/images/${body.asset_id}`)).toMatchObject({
      body: { status: 'pending' },
    });
  },
);
