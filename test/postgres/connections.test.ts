import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { openPostgresDatabase, type PostgresSettings } from '../../src/db/engine/postgres.ts';
import { recordingLogger } from '../support/inner/logger.ts';
import {
  fileServerDatabase,
  runOnServer,
  testSettings,
  urlOfDatabase,
} from '../support/inner/server-database.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { waitTimeoutMs, timeScale } from '../support/time-scale.ts';

const { name } = await fileServerDatabase();
const url = urlOfDatabase(name);
const query = async (database: Database) => {
  await sql`SELECT count(*) FROM images`.execute(database.sql);
};
const unavailable = { code: 'database_unavailable', status: 503 };

async function open(settings: Partial<PostgresSettings> = {}): Promise<Database> {
  const database = await openPostgresDatabase({ ...testSettings, url, ...settings }, recordingLogger());
  onTestFinished(() => database.close());
  return database;
}

/** Starts a proxy that the test can stop and resume. `openDatabase` connects through the proxy. */
async function startDatabaseProxy(settings: Partial<PostgresSettings> = {}) {
  const { hostname, port } = new URL(url);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const proxyUrl = new URL(url);
  proxyUrl.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: proxyUrl.href, openDatabase: () => open({ url: proxyUrl.href, ...settings }) };
}

test('replaces idle and active connections that the server closes', async () => {
  const database = await open();
  await Promise.all(Array.from({ length: 8 }, () => query(database)));
  const sleepQuery = sql`SELECT pg_sleep(10)`.execute(database.sql);
  await sleep(200);
  const [result] = await Promise.allSettled([
    sleepQuery,
    runOnServer(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`,
    ),
  ]);
  expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
  // A closed connection may be checked out before the pool notices that it was closed.
  await vi.waitFor(() => query(database), { timeout: waitTimeoutMs, interval: 50 });
});

test('rolls back a transaction whose connection is lost, and runs the next query', async () => {
  const database = await open();
  const lostTransaction = database.sql.transaction().execute(async (transaction) => {
    await sql`INSERT INTO tenants (name) VALUES ('rolled back 1')`.execute(transaction);
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(transaction);
    await runOnServer(`SELECT pg_terminate_backend(${rows[0]?.pid})`);
    await sleep(100);
    await sql`INSERT INTO tenants (name) VALUES ('rolled back 2')`.execute(transaction);
  });
  await expect(lostTransaction).rejects.toMatchObject(unavailable);
  const { rows } = await sql`SELECT 1 FROM tenants WHERE name LIKE 'rolled back%'`.execute(database.sql);
  expect(rows).toEqual([]);
});

test('reports a statement that exceeds its timeout', async () => {
  const database = await open({ statementMs: 300 });
  await expect(sql`SELECT pg_sleep(5)`.execute(database.sql)).rejects.toMatchObject({
    ...unavailable,
    message: expect.stringMatching(/exceeded DATABASE_STATEMENT_SECONDS/) as string,
  });
  await query(database);
});

test('times out if the server stops responding, and recovers when the server responds again', async () => {
  const { proxy, openDatabase } = await startDatabaseProxy({ statementMs: 500, connectMs: 500 });
  const database = await openDatabase();
  await query(database);
  proxy.blackhole();
  const start = performance.now();
  await expect(query(database)).rejects.toMatchObject(unavailable);
  await expect(query(database)).rejects.toMatchObject(unavailable);
  expect(performance.now() - start).toBeLessThan(6_000 * timeScale);
  await proxy.resume();
  await expect(query(database)).resolves.toBeUndefined();
});

test('fails every query immediately while the server is down, and recovers when the server is up again', async () => {
  const { proxy, openDatabase } = await startDatabaseProxy({ connectMs: 60_000 });
  const database = await openDatabase();
  await proxy.stop();
  const start = performance.now();
  for (let i = 0; i < 5; i++) await expect(query(database)).rejects.toMatchObject(unavailable);
  expect(performance.now() - start).toBeLessThan(30_000);
  await proxy.resume();
  await expect(query(database)).resolves.toBeUndefined();
});

test('waits at startup until the server starts', async () => {
  const { proxy, openDatabase } = await startDatabaseProxy();
  await proxy.stop();
  const databaseOpened = openDatabase();
  await sleep(1_200);
  await proxy.resume();
  await query(await databaseOpened);
});

test('does not include the password in a startup error', async () => {
  const { proxy, url: proxyUrl } = await startDatabaseProxy();
  await proxy.stop();
  const urlWithPassword = new URL(proxyUrl);
  urlWithPassword.password = 'hunter2';
  const error = await openPostgresDatabase(
    { ...testSettings, url: urlWithPassword.href, waitMs: 0 },
    recordingLogger(),
  ).catch((reason: unknown) => String(reason));
  expect(error).toMatch(/cannot be used: .*Check DATABASE_URL/s);
  expect(error).not.toContain('hunter2');
});

test('reports immediately that a database does not exist', async () => {
  const databaseOpened = openPostgresDatabase(
    { ...testSettings, url: urlOfDatabase('no_such_database') },
    recordingLogger(),
  );
  await expect(databaseOpened).rejects.toThrow(/"no_such_database" does not exist\. Create the database/);
});

test('queues callers when all connections are in use', async () => {
  const database = await open({ poolSize: 2 });
  await Promise.all(Array.from({ length: 50 }, () => query(database)));
});
