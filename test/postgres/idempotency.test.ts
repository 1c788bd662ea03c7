import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { keySettings, operatorKey, withKey } from '../http/support/keys.ts';
import { selectRow } from '../support/inner/database.ts';
import { closeGate } from '../support/inner/gate.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { type ApiResponse, call, expectProblem } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';
import { connectRaw } from '../support/process/socket.ts';

/** Starts servers that share a database. */
async function startServers(count: number) {
  const { name, database } = await openTestServerDatabase();
  const storage = await makeTestFolder();
  const env = {
    ...keySettings,
    DATABASE_URL: serverDatabaseUrl(name),
    STORAGE_PATH: storage,
    ENABLE_WORKER: 'false',
  };
  const servers = [];
  for (let index = 0; index < count; index += 1) servers.push(await startServer(env));
  const countKeys = async () =>
    (await selectRow<{ count: number }>(database, 'SELECT count(*) AS count FROM api_keys')).count;
  return { database, servers, countKeys };
}

const createBody = JSON.stringify({ name: 'robot', role: 'reader' });
const makeIdempotencyKey = () => randomBytes(8).toString('hex');

function create(base: string, idempotencyKey: string): Promise<ApiResponse> {
  const headers = { ...withKey(operatorKey), 'idempotency-key': idempotencyKey };
  return call(`${base}/v1/keys`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: createBody,
  });
}

/** Sends a request and closes the connection once it has reached the database. */
async function sendAndDisconnect(
  base: string,
  { path, idempotencyKey, body }: { path: string; idempotencyKey: string; body: string | undefined },
  untilBlocked: () => Promise<void>,
): Promise<void> {
  const connection = await connectRaw(base);
  const bodyHeaders =
    body === undefined ? '' : `content-type: application/json\r\ncontent-length: ${body.length}\r\n`;
  await connection.write(
    `POST ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${operatorKey}\r\nidempotency-key: ${idempotencyKey}\r\n${bodyHeaders}\r\n${body ?? ''}`,
  );
  await untilBlocked();
  connection.socket.destroy();
  await connection.closed();
  // The server must have noticed it before the request ends.
  await sleep(200);
}

describe.each([
  { name: 'a body', path: () => '/v1/keys', body: createBody },
  { name: 'no body', path: (id: string) => `/v1/keys/${id}/rotate`, body: undefined },
])('a client that disconnects after a request with $name', ({ path, body }) => {
  test('gets the response of the first request when it sends it again', async () => {
    const {
      database,
      servers: [server],
      countKeys,
    } = await startServers(1);
    const base = server?.url ?? '';
    const { id } = (await create(base, makeIdempotencyKey())).body;
    const request = { path: path(String(id)), idempotencyKey: makeIdempotencyKey(), body };
    const gate = await closeGate(database, 'BEFORE INSERT ON api_keys', 'true');
    await sendAndDisconnect(base, request, () => gate.untilBlocked(1));
    const repeat = () =>
      call(base + request.path, {
        method: 'POST',
        headers: {
          ...withKey(operatorKey),
          'idempotency-key': request.idempotencyKey,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        },
        ...(body !== undefined && { body }),
      });
    const early = await repeat();
    expect(expectProblem(early, 409, 'idempotency_running')).toContain(request.idempotencyKey);
    expect(Number(early.headers.get('retry-after'))).toBeGreaterThan(0);
    await gate.open();
    await expect.poll(async () => (await repeat()).status).toBe(201);
    const replayed = await repeat();
    expect(replayed.headers.get('idempotency-replayed')).toBe('true');
    expect(await countKeys()).toBe(2);
    const created = await selectRow<{ id: string }>(
      database,
      `SELECT id FROM api_keys WHERE id <> '${String(id)}'`,
    );
    expect(replayed.body['id']).toBe(created.id);
    const { key } = replayed.body as { key: string };
    expect((await call(`${base}/v1/images`, { headers: withKey(key) })).status).toBe(200);
  });
});

test('one of the requests that reach two processes at the same time runs', async () => {
  const { servers, countKeys } = await startServers(2);
  for (let round = 1; round <= 15; round += 1) {
    const idempotencyKey = makeIdempotencyKey();
    const responses = await Promise.all(
      [...servers, ...servers].map(({ url }) => create(url, idempotencyKey)),
    );
    const ids = new Set<unknown>();
    for (const response of responses)
      if (response.status === 201) ids.add(response.body['id']);
      else expectProblem(response, 409, 'idempotency_running');
    expect(ids.size).toBe(1);
    expect(await countKeys()).toBe(round);
    for (const { url } of servers) {
      const replayed = await create(url, idempotencyKey);
      expect(replayed.headers.get('idempotency-replayed')).toBe('true');
      expect([...ids]).toEqual([replayed.body['id']]);
    }
  }
});

test('a request whose process was killed can be sent to a different process after the maximum time', async () => {
  const { database, servers, countKeys } = await startServers(2);
  const [killed, other] = servers.map(({ url }) => url);
  const idempotencyKey = makeIdempotencyKey();
  const gate = await closeGate(database, 'BEFORE INSERT ON api_keys', 'true');
  const lost = create(killed ?? '', idempotencyKey).catch((error: unknown) => error);
  await gate.untilBlocked(1);
  await servers[0]?.kill9();
  expect(await lost).toBeInstanceOf(Error);
  // Otherwise, PostgreSQL could still commit the statement of the killed process.
  await database.runScript(`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event = 'advisory'`);
  await gate.open();
  expectProblem(await create(other ?? '', idempotencyKey), 409, 'idempotency_running');
  const { seconds } = await selectRow<{ seconds: number }>(
    database,
    'SELECT extract(epoch FROM running_until - now())::float8 AS seconds FROM idempotent_requests',
  );
  expect(seconds).toBeGreaterThan(60);
  expect(seconds).toBeLessThanOrEqual(134);
  await database.runScript("UPDATE idempotent_requests SET running_until = now() - interval '1 second'");
  const created = await create(other ?? '', idempotencyKey);
  expect(created.status).toBe(201);
  expect(created.headers.get('idempotency-replayed')).toBeNull();
  expect(await countKeys()).toBe(1);
});

test('a response is replayed for 24 hours', async () => {
  const {
    database,
    servers: [server],
    countKeys,
  } = await startServers(1);
  const idempotencyKey = makeIdempotencyKey();
  const age = (interval: string) =>
    database.runScript(`UPDATE idempotent_requests SET created_at = now() - interval '${interval}'`);
  const first = await create(server?.url ?? '', idempotencyKey);
  await age('23 hours 59 minutes');
  expect((await create(server?.url ?? '', idempotencyKey)).body).toEqual(first.body);
  await age('24 hours 1 second');
  const second = await create(server?.url ?? '', idempotencyKey);
  expect(second.status).toBe(201);
  expect(second.body['id']).not.toBe(first.body['id']);
  expect(await countKeys()).toBe(2);
});

test('a response with the status 500 or more is not stored', async () => {
  const {
    database,
    servers: [server],
    countKeys,
  } = await startServers(1);
  const idempotencyKey = makeIdempotencyKey();
  await database.runScript('ALTER TABLE api_keys RENAME TO api_keys_elsewhere');
  const failed = await create(server?.url ?? '', idempotencyKey);
  expect(failed.status).toBeGreaterThanOrEqual(500);
  await database.runScript('ALTER TABLE api_keys_elsewhere RENAME TO api_keys');
  const created = await create(server?.url ?? '', idempotencyKey);
  expect(created.status).toBe(201);
  expect(await countKeys()).toBe(1);
});
