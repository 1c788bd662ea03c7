import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { selectRow, selectRows } from '../support/inner/database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { makeUniquePicture } from '../support/inner/pictures.ts';
import {
  createServerDatabase,
  openTestServerDatabase,
  serverDatabaseUrl,
} from '../support/inner/server-database.ts';
import { call, form } from '../support/process/client.ts';
import { runVitrine } from '../support/process/command.ts';
import { launch, startServer } from '../support/process/server.ts';
import { startWorker } from '../support/process/worker-process.ts';
import { services } from '../support/services.ts';
import { waitTimeoutMs, timeScale } from '../support/time-scale.ts';
import { isThorough } from '../support/thoroughness.ts';

/** Creates a database and a storage folder, and returns the environment of processes that share both. */
async function makeSharedEnvironment(settings: Record<string, string> = {}) {
  const { name, database } = await openTestServerDatabase();
  const folder = await makeTestFolder();
  const env = {
    DATABASE_URL: serverDatabaseUrl(name),
    DATA_DIR: folder,
    WORKER_CONCURRENCY: '1',
    ...settings,
  };
  return { database, env, folder };
}

const queueUpload = async (url: string, tenant: string) => {
  const response = await call(`${url}/upload/`, {
    method: 'POST',
    body: form(['file', await makeUniquePicture()], ['tenant_name', tenant]),
  });
  expect(response.status).toBe(200);
};

const wakeUpSources: [string, Record<string, string>][] = [['the database', {}]];
if (services.redisUrl) wakeUpSources.push(['Redis', { REDIS_URL: services.redisUrl }]);

test.each(wakeUpSources)(
  'starts a job on an idle worker within 100 ms of the commit, using wake-ups from %s',
  async (_source, settings) => {
    const { database, env, folder } = await makeSharedEnvironment({
      ...settings,
      QUEUE_NAME: `test-${process.pid}-${Date.now()}`,
    });
    const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
    await startWorker(env);
    for (let i = 0; i < 10; i++) {
      await queueUpload(server.url, 'shop');
      // Waits until the worker is idle. The delay prevents the uploads from coinciding with the worker's polls.
      await vi.waitFor(async () => {
        const { unfinished } = await selectRow<{ unfinished: number }>(
          database,
          "SELECT count(*) AS unfinished FROM jobs WHERE state <> 'completed'",
        );
        expect(unfinished).toBe(0);
      }, waitTimeoutMs);
      await sleep(137);
    }
    const delays = await selectRows<{ ms: number }>(
      database,
      'SELECT (1000 * extract(epoch FROM started_at - created_at))::float8 AS ms FROM jobs ORDER BY 1',
    );
    // Other processes may delay one of the ten jobs. Without wake-ups, the worker polls once a second.
    expect(delays[8]?.ms).toBeLessThan(Math.min(100 * timeScale, 700));
  },
);

test('does not delay an upload behind another tenant’s long queue', { tags: 'scenario' }, async () => {
  const { database, env, folder } = await makeSharedEnvironment();
  const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
  for (let i = 0; i < 30; i++) await queueUpload(server.url, 'busy');
  await Promise.all([startWorker(env, '--concurrency', '1'), startWorker(env, '--concurrency', '1')]);
  await vi.waitFor(async () => {
    const { completed } = await selectRow<{ completed: number }>(
      database,
      "SELECT count(*) AS completed FROM jobs WHERE state = 'completed'",
    );
    expect(completed).toBeGreaterThan(5);
  }, waitTimeoutMs);
  await queueUpload(server.url, 'small');
  const smallTenantJobs = "FROM jobs j JOIN tenants t ON t.id = j.tenant_id WHERE t.name = 'small'";
  await vi.waitFor(async () => {
    expect(await selectRow(database, `SELECT j.state ${smallTenantJobs}`)).toEqual({ state: 'completed' });
  }, waitTimeoutMs);
  const { earlierJobs } = await selectRow<{ earlierJobs: number }>(
    database,
    `SELECT count(*) AS "earlierJobs" FROM jobs, (SELECT j.created_at, j.started_at ${smallTenantJobs}) small_job
     WHERE jobs.started_at > small_job.created_at AND jobs.started_at < small_job.started_at`,
  );
  // There are two workers with one decoder each, and a worker claims up to two jobs per decoder.
  expect(earlierJobs).toBeLessThanOrEqual(2 * 2);
});

const commandCount = isThorough ? 10 : 4;

test('applies the migrations once when migrate commands run concurrently', async () => {
  const { name, remove } = await createServerDatabase(false);
  try {
    const env = { DATABASE_URL: serverDatabaseUrl(name), DATA_DIR: await makeTestFolder() };
    const outcomes = await Promise.all(
      Array.from({ length: commandCount }, () => runVitrine(['migrate'], env)),
    );
    expect(outcomes.map(({ code }) => code)).toEqual(outcomes.map(() => 0));
    expect(outcomes.filter(({ stdout }) => /applied 0001/.test(stdout))).toHaveLength(1);
    expect(outcomes.filter(({ stdout }) => /already up to date/.test(stdout))).toHaveLength(commandCount - 1);
  } finally {
    await remove();
  }
});

test('finishes running jobs when the worker is stopped', async () => {
  const { database, env, folder } = await makeSharedEnvironment();
  const server = await startServer({ ...env, ENABLE_WORKER: 'false' }, folder);
  const worker = await startWorker(env);
  for (let i = 0; i < 12; i++) await queueUpload(server.url, 'shop');
  expect(await worker.stop()).toBe(0);
  const states = await selectRows<{ state: string }>(
    database,
    'SELECT DISTINCT state FROM jobs ORDER BY state',
  );
  expect(states.map(({ state }) => state)).not.toContain('processing');
  await startWorker(env);
  await vi.waitFor(async () => {
    expect(await selectRows(database, 'SELECT DISTINCT state FROM jobs')).toEqual([{ state: 'completed' }]);
  }, waitTimeoutMs);
});

test('exits at startup with an error if the database cannot be used', async () => {
  const env = { DATABASE_URL: serverDatabaseUrl('no_such_database'), DATA_DIR: await makeTestFolder() };
  const { code, stderr } = await runVitrine(['worker'], env);
  expect(stderr).toMatch(/"no_such_database" does not exist\. Create the database/);
  expect(stderr).not.toMatch(/\n\s+at /);
  expect(code).toBe(1);
});

test('stops a server that is waiting for its database', async () => {
  const env = { DATABASE_URL: 'postgres://127.0.0.1:9/x', DATA_DIR: await makeTestFolder() };
  const server = launch(env.DATA_DIR, env);
  onTestFinished(() => server.kill9());
  await vi.waitFor(() => expect(server.log()).toMatch(/does not respond yet; waiting/), waitTimeoutMs);
  expect(await server.stop()).toMatchObject({ code: 0 });
});
