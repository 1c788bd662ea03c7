import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { selectRow } from '../support/inner/database.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { call, expectProblem } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';

const bootstrapKey = 'the-bootstrap-key-of-this-test-server';

test('runs one verification at a time for each tenant', async () => {
  const { name, database } = await openTestServerDatabase();
  const databaseUrl = serverDatabaseUrl(name);
  const server = await startServer({
    DATA_DIR: await makeTestFolder(),
    DATABASE_URL: databaseUrl,
    AUTH: 'keys',
    SECRET_KEY: 'a-secret-of-32-characters-or-more',
    BOOTSTRAP_ADMIN_KEY: bootstrapKey,
  });
  onTestFinished(async () => void (await server.stop()));
  const headers = { 'x-api-key': bootstrapKey };
  const createKey = async (tenant: string) => {
    const body = JSON.stringify({ name: tenant, role: 'admin', tenant });
    const response = await call<{ key: string }>(`${server.url}/v1/keys`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body,
    });
    return response.body.key;
  };
  const [key, otherKey] = [await createKey('shop'), await createKey('other')];
  const verify = (apiKey: string, signal: AbortSignal | null = null) =>
    call(`${server.url}/v1/audit/verification`, {
      headers: { 'x-api-key': apiKey },
      signal,
    });

  const blocker = new Client({ connectionString: databaseUrl });
  await blocker.connect();
  onTestFinished(() => blocker.end());
  // A verification waits for this lock.
  await blocker.query('BEGIN; LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE');
  // On another connection, because a transaction sees the activity at its beginning.
  const countWaiting = async () => {
    const { count } = await selectRow<{ count: number }>(
      database,
      `SELECT count(*) AS count FROM pg_stat_activity
       WHERE wait_event_type = 'Lock' AND query LIKE '%AS total FROM audit_log%'`,
    );
    return count;
  };
  const running = verify(key);
  await expect.poll(countWaiting).toBeGreaterThan(0);
  const refused = await verify(key);
  expectProblem(refused, 503, 'overloaded');
  expect(refused.headers.get('retry-after')).toBe('10');
  const other = verify(otherKey);
  await blocker.query('COMMIT');
  expect((await running).status).toBe(200);
  expect((await other).status).toBe(200);
  expect((await verify(key)).status).toBe(200);

  await blocker.query('BEGIN; LOCK TABLE audit_log IN ACCESS EXCLUSIVE MODE');
  const client = new AbortController();
  const aborted = verify(key, client.signal).catch(() => undefined);
  await expect.poll(countWaiting).toBeGreaterThan(0);
  client.abort();
  await aborted;
  await blocker.query('COMMIT');
  await expect.poll(async () => (await verify(key)).status).toBe(200);
});
