import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Database } from '../../src/db/database.ts';
import { createKey, keySettings, operatorKey, sendJson, withKey } from '../http/support/keys.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { call } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';

/** Within this time, every process must have noticed a change. */
const noticeMs = 5_000;

/** Starts two servers that share a database. The first one changes keys, and the second one is asked all the time. */
async function startServers() {
  const { name, database } = await openTestServerDatabase();
  const env = {
    ...keySettings,
    DATABASE_URL: serverDatabaseUrl(name),
    STORAGE_PATH: await makeTestFolder(),
    ENABLE_WORKER: 'false',
  };
  const [changing, asked] = [await startServer(env), await startServer(env)];
  return { database, changing: changing.url, asked: asked.url };
}

const idOf = (key: string) => /^vitrine_([^_]+)_/.exec(key)?.[1] ?? '';

/** Uses a key without a pause until `stop`, and records when each request was sent and its status. */
function keepUsing(base: string, key: string, path = '/v1/images') {
  const uses: { sentAt: number; status: number }[] = [];
  const stopping = new AbortController();
  const user = (async () => {
    while (!stopping.signal.aborted) {
      const sentAt = performance.now();
      const { status } = await call(base + path, { headers: withKey(key) });
      uses.push({ sentAt, status });
      await sleep(5);
    }
  })();
  return {
    uses,
    untilStatus: (status: number) =>
      expect.poll(() => uses.some((use) => use.status === status), { interval: 20 }).toBe(true),
    async stop() {
      stopping.abort();
      await user;
    },
  };
}

/** Returns when the last accepted request was sent. */
function lastAcceptedOf(uses: readonly { sentAt: number; status: number }[]): number {
  return uses.findLast(({ status }) => status === 200)?.sentAt ?? 0;
}

/** Expects that no request was accepted that was sent more than 5 s after the change, nor any after the first rejection. */
function expectNoticed(uses: readonly { sentAt: number; status: number }[], changedAt: number): void {
  const accepted = uses.filter(({ status }) => status === 200);
  const rejected = uses.filter(({ status }) => status !== 200);
  expect(accepted.length).toBeGreaterThan(5);
  expect(rejected.length).toBeGreaterThan(5);
  const lastAccepted = lastAcceptedOf(uses);
  expect(lastAccepted - changedAt).toBeLessThan(noticeMs);
  expect(rejected[0]?.sentAt).toBeGreaterThan(lastAccepted);
}

/** How a key is changed through the first server, and what the second one answers then. */
const changes = [
  {
    name: 'a key that is revoked',
    status: 401,
    make: async (base: string) => {
      const key = await createKey(base, { role: 'reader', tenant: 'shop' });
      return { key, change: () => revoke(base, key) };
    },
  },
  {
    name: 'a key that is replaced without an overlap',
    status: 401,
    make: async (base: string) => {
      const key = await createKey(base, { role: 'reader' });
      return { key, change: () => rotate(base, key, 0) };
    },
  },
  {
    name: 'a key whose creator loses rights',
    status: 403,
    make: async (base: string, database: Database) => {
      const creator = await createKey(base, { role: 'admin' });
      const fields = { name: 'created', role: 'reader' };
      const { body } = await sendJson<{ key: string }>(base, 'POST', '/v1/keys', fields, creator);
      // The API cannot reduce the rights of a key.
      const reduce = `UPDATE api_keys SET scopes = '{keys.manage}' WHERE id = '${idOf(creator)}'`;
      return { key: body.key, change: () => database.runScript(reduce) };
    },
  },
];

async function revoke(base: string, key: string): Promise<void> {
  const { status } = await call(`${base}/v1/keys/${idOf(key)}`, {
    method: 'DELETE',
    headers: withKey(operatorKey),
  });
  expect(status).toBe(200);
}

async function rotate(base: string, key: string, overlap: number): Promise<string> {
  const { status, body } = await sendJson<{ key: string }>(base, 'POST', `/v1/keys/${idOf(key)}/rotate`, {
    overlap,
  });
  expect(status).toBe(201);
  return body.key;
}

test.each(changes)('$name stops working in every process within 5 s', async ({ status, make }) => {
  const { changing, asked, database } = await startServers();
  const { key, change } = await make(changing, database);
  const user = keepUsing(asked, key);
  await user.untilStatus(200);
  await sleep(1_000);
  await change();
  const changedAt = performance.now();
  await user.untilStatus(status);
  await sleep(500);
  await user.stop();
  expectNoticed(user.uses, changedAt);
  expect(user.uses.at(-1)?.status).toBe(status);
  expect((await call(`${changing}/v1/images`, { headers: withKey(key) })).status).toBe(status);
});

test('a key stops working in every process as soon as it expires', async () => {
  const { changing, asked } = await startServers();
  const createdAt = performance.now();
  const key = await createKey(changing, { role: 'reader', expires_in: 5 });
  const latestExpiry = performance.now() + 5_000;
  const uses = await Promise.all(
    [changing, asked].map(async (base) => {
      const user = keepUsing(base, key);
      await user.untilStatus(401);
      await sleep(500);
      await user.stop();
      return user.uses;
    }),
  );
  for (const use of uses) {
    expectNoticed(use, createdAt + 5_000);
    const lastAccepted = lastAcceptedOf(use);
    // The time of expiry is known in advance, so that nothing delays it.
    expect(lastAccepted).toBeLessThan(latestExpiry + 100);
    expect(lastAccepted - createdAt).toBeGreaterThan(3_000);
  }
});

test('both keys of a rotation work in every process until the overlap ends', async () => {
  const { changing, asked } = await startServers();
  const old = await createKey(changing, { role: 'reader' });
  const user = keepUsing(asked, old);
  await user.untilStatus(200);
  const rotatedAt = performance.now();
  const renewed = await rotate(changing, old, 6);
  const renewedUser = keepUsing(asked, renewed);
  await user.untilStatus(401);
  await sleep(500);
  await Promise.all([user.stop(), renewedUser.stop()]);
  expectNoticed(user.uses, rotatedAt + 6_000);
  const lastAccepted = lastAcceptedOf(user.uses);
  expect(lastAccepted - rotatedAt, 'the overlap must last').toBeGreaterThan(4_500);
  expect(new Set(renewedUser.uses.map(({ status }) => status))).toEqual(new Set([200]));
});
