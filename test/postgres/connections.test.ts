import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { openPostgresDatabase, type PostgresSettings } from '../../src/db/engine/postgres.ts';
import { recordingLogger } from '../support/inner/logger.ts';
import {
  fileServerDatabase,
  onServer,
  testSettings,
  urlOfDatabase,
} from '../support/inner/server-database.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { waitTimeoutMs, timeScale } from '../support/time-scale.ts';

const { name } = await fileServerDatabase();
const url = urlOfDatabase(name);
const ask = async (database: Database) => {
  await sql`SELECT count(*) FROM images`.execute(database.sql);
};
const unavailable = { code: 'database_unavailable', status: 503 };

async function open(more: Partial<PostgresSettings> = {}): Promise<Database> {
  const database = await openPostgresDatabase({ ...testSettings, url, ...more }, recordingLogger());
  onTestFinished(() => database.close());
  return database;
}

/** Opens the same database through a port that the test controls. */
async function openThroughProxy(more: Partial<PostgresSettings> = {}) {
  const { hostname, port } = new URL(url);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port) });
  const proxied = new URL(url);
  proxied.host = `127.0.0.1:${proxy.port}`;
  return { proxy, url: proxied.href, database: () => open({ url: proxied.href, ...more }) };
}

test('replaces connections that the server closes, idle or in use', async () => {
  const database = await open();
  await Promise.all(Array.from({ length: 8 }, () => ask(database)));
  const sleeping = sql`SELECT pg_sleep(10)`.execute(database.sql);
  await sleep(200);
  const [result] = await Promise.allSettled([
    sleeping,
    onServer(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`,
    ),
  ]);
  expect(result).toMatchObject({ status: 'rejected', reason: unavailable });
  // A connection may be checked out just before its end is noticed.
  await vi.waitFor(() => ask(database), { timeout: waitTimeoutMs, interval: 50 });
});

test('rolls back a transaction whose connection is cut, and runs the next one', async () => {
  const database = await open();
  const cut = database.sql.transaction().execute(async (transaction) => {
    await sql`INSERT INTO tenants (name) VALUES ('never')`.execute(transaction);
    const { rows } = await sql<{ pid: number }>`SELECT pg_backend_pid() AS pid`.execute(transaction);
    await onServer(`SELECT pg_terminate_backend(${rows[0]?.pid})`);
    await sleep(100);
    await sql`INSERT INTO tenants (name) VALUES ('never either')`.execute(transaction);
  });
  await expect(cut).rejects.toMatchObject(unavailable);
  const { rows } = await sql`SELECT 1 FROM tenants WHERE name LIKE 'never%'`.execute(database.sql);
  expect(rows).toEqual([]);
});

test('reports a statement that exceeds its timeout', async () => {
  const database = await open({ statementMs: 300 });
  await expect(sql`SELECT pg_sleep(5)`.execute(database.sql)).rejects.toMatchObject({
    ...unavailable,
    message: expect.stringMatching(/exceeded DATABASE_STATEMENT_SECONDS/) as string,
  });
  await ask(database);
});

test('gives up in time on a server that stops responding, and uses it again afterwards', async () => {
  const { proxy, database: openIt } = await openThroughProxy({ statementMs: 500, connectMs: 500 });
  const database = await openIt();
  await ask(database);
  proxy.blackhole();
  const began = performance.now();
  await expect(ask(database)).rejects.toMatchObject(unavailable);
  await expect(ask(database)).rejects.toMatchObject(unavailable);
  expect(performance.now() - began).toBeLessThan(6_000 * timeScale);
  await proxy.resume();
  await expect(ask(database)).resolves.toBeUndefined();
});

test('fails every query at once while the server is down, and works when it is back', async () => {
  const { proxy, database: openIt } = await openThroughProxy({ connectMs: 60_000 });
  const database = await openIt();
  await proxy.stop();
  const began = performance.now();
  for (let i = 0; i < 5; i++) await expect(ask(database)).rejects.toMatchObject(unavailable);
  expect(performance.now() - began).toBeLessThan(30_000);
  await proxy.resume();
  await expect(ask(database)).resolves.toBeUndefined();
});

test('waits at the start for a server that starts later', async () => {
  const { proxy, database: openIt } = await openThroughProxy();
  await proxy.stop();
  const opening = openIt();
  await sleep(1_200);
  await proxy.resume();
  await ask(await opening);
});

test('gives up the start with an error that does not contain the password', async () => {
  const { proxy, url: proxied } = await openThroughProxy();
  await proxy.stop();
  const secret = new URL(proxied);
  secret.password = 'hunter2';
  const refusal = await openPostgresDatabase(
    { ...testSettings, url: secret.href, waitMs: 0 },
    recordingLogger(),
  ).catch((error: unknown) => String(error));
  expect(refusal).toMatch(/cannot be used: .*Is DATABASE_URL right/s);
  expect(refusal).not.toContain('hunter2');
});

test('reports a database that does not exist at once', async () => {
  const opening = openPostgresDatabase(
    { ...testSettings, url: urlOfDatabase('no_such_database') },
    recordingLogger(),
  );
  await expect(opening).rejects.toThrow(/"no_such_database" does not exist\. Create the database/);
});

test('queues callers when all connections are in use', async () => {
  const database = await open({ poolSize: 2 });
  await Promise.all(Array.from({ length: 50 }, () => ask(database)));
});
