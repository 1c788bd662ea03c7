import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { rowOf, rowsOf } from '../support/inner/database.ts';
import { testFolder } from '../support/inner/folders.ts';
import { uniquePicture } from '../support/inner/pictures.ts';
import { createServerDatabase, testServerDatabase, urlOfDatabase } from '../support/inner/server-database.ts';
import { call, form } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { launch, startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { services } from '../support/services.ts';
import { waitTimeoutMs, timeScale } from '../support/time-scale.ts';
import { isThorough } from '../support/thoroughness.ts';

/** Creates a database, and the environment of processes that share it and a storage folder. */
async function shared(more: Record<string, string> = {}) {
  const { name, database } = await testServerDatabase();
  const folder = await testFolder();
  const env = { DATABASE_URL: urlOfDatabase(name), DATA_DIR: folder, WORKER_CONCURRENCY: '1', ...more };
  return { database, env, folder };
}

const queueUpload = async (url: string, tenant: string) => {
  const answer = await call(`${url}/upload/`, {
    method: 'POST',
    body: form(['file', await uniquePicture()], ['tenant_name', tenant]),
  });
  expect(answer.status).toBe(200);
};

const wakers: [string, Record<string, string>][] = [['the database', {}]];
if (services.redisUrl) wakers.push(['Redis', { REDIS_URL: services.redisUrl }]);

test.each(wakers)(
  'begins a job on an idle worker within 100 ms after the commit, woken by %s',
  async (_waker, more) => {
    const { database, env, folder } = await shared({
      ...more,
      QUEUE_NAME: `test-${process.pid}-${Date.now()}`,
    });
    const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
    await startWorker(env);
    for (let i = 0; i < 10; i++) {
      await queueUpload(server.url, 'shop');
      // Idle again, and not in step with the worker's polling.
      await vi.waitFor(async () => {
        const { open } = await rowOf<{ open: number }>(
          database,
          "SELECT count(*) AS open FROM jobs WHERE state <> 'completed'",
        );
        expect(open).toBe(0);
      }, waitTimeoutMs);
      await sleep(137);
    }
    const delays = await rowsOf<{ ms: number }>(
      database,
      'SELECT (1000 * extract(epoch FROM started_at - created_at))::float8 AS ms FROM jobs ORDER BY 1',
    );
    // One of ten may be delayed by another process. Without wake-ups, the worker looks once a second.
    expect(delays[8]?.ms).toBeLessThan(Math.min(100 * timeScale, 700));
  },
);

test('does not delay an upload behind another tenant’s long queue', async () => {
  const { database, env, folder } = await shared();
  const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
  for (let i = 0; i < 30; i++) await queueUpload(server.url, 'long-line');
  await Promise.all([startWorker(env, '--concurrency', '1'), startWorker(env, '--concurrency', '1')]);
  await vi.waitFor(async () => {
    const { done } = await rowOf<{ done: number }>(
      database,
      "SELECT count(*) AS done FROM jobs WHERE state = 'completed'",
    );
    expect(done).toBeGreaterThan(5);
  }, waitTimeoutMs);
  await queueUpload(server.url, 'guest');
  const ofGuest = "FROM jobs j JOIN tenants t ON t.id = j.tenant_id WHERE t.name = 'guest'";
  await vi.waitFor(async () => {
    expect(await rowOf(database, `SELECT j.state ${ofGuest}`)).toEqual({ state: 'completed' });
  }, waitTimeoutMs);
  const { before } = await rowOf<{ before: number }>(
    database,
    `SELECT count(*) AS before FROM jobs, (SELECT j.created_at, j.started_at ${ofGuest}) guest
     WHERE jobs.started_at > guest.created_at AND jobs.started_at < guest.started_at`,
  );
  // Two workers with one decoder each, and two jobs per decoder.
  expect(before).toBeLessThanOrEqual(2 * 2);
});

const commands = isThorough ? 10 : 4;

test('migrates once with concurrent commands', async () => {
  const { name, remove } = await createServerDatabase(false);
  try {
    const env = { DATABASE_URL: urlOfDatabase(name), DATA_DIR: await testFolder() };
    const outcomes = await Promise.all(Array.from({ length: commands }, () => runVitrine(['migrate'], env)));
    expect(outcomes.map(({ code }) => code)).toEqual(outcomes.map(() => 0));
    expect(outcomes.filter(({ stdout }) => /applied 0001/.test(stdout))).toHaveLength(1);
    expect(outcomes.filter(({ stdout }) => /already up to date/.test(stdout))).toHaveLength(commands - 1);
  } finally {
    await remove();
  }
});

test('finishes its jobs when the worker is stopped', async () => {
  const { database, env, folder } = await shared();
  const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
  const worker = await startWorker(env);
  for (let i = 0; i < 12; i++) await queueUpload(server.url, 'shop');
  expect(await worker.stop()).toBe(0);
  const states = await rowsOf<{ state: string }>(database, 'SELECT DISTINCT state FROM jobs ORDER BY state');
  expect(states.map(({ state }) => state)).not.toContain('processing');
  await startWorker(env);
  await vi.waitFor(async () => {
    expect(await rowsOf(database, 'SELECT DISTINCT state FROM jobs')).toEqual([{ state: 'completed' }]);
  }, waitTimeoutMs);
});

test('ends the start with an error if the server cannot be used', async () => {
  const env = { DATABASE_URL: urlOfDatabase('no_such_database'), DATA_DIR: await testFolder() };
  const { code, stderr } = await runVitrine(['worker'], env);
  expect(stderr).toMatch(/"no_such_database" does not exist\. Create the database/);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(code).toBe(1);
});

test('stops a start that waits for its database', async () => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1:9/x', DATA_DIR: await testFolder() };
  const server = launch(env.DATA_DIR, env);
  onTestFinished(() => server.kill9());
  await vi.waitFor(() => expect(server.log()).toMatch(/does not respond yet; waiting/), waitTimeoutMs);
  expect(await server.stop()).toMatchObject({ code: 0 });
});
