import { expect, test } from 'vitest';
import { makeTestFolder } from '../support/inner/folders.ts';
import { openTestServerDatabase, serverDatabaseUrl } from '../support/inner/server-database.ts';
import { startTcpProxy } from '../support/inner/tcp-proxy.ts';
import { call } from '../support/process/client.ts';
import { startServer } from '../support/process/server.ts';
import { timeScale } from '../support/time-scale.ts';

/** Starts a server that connects to its database through a proxy that the test can stop. */
async function startWithDatabaseProxy() {
  const { name } = await openTestServerDatabase();
  const url = new URL(serverDatabaseUrl(name));
  const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
  url.host = `127.0.0.1:${proxy.port}`;
  const env = { DATABASE_URL: url.href, WORKER_CONCURRENCY: '1', DATABASE_CONNECT_SECONDS: '1' };
  return { proxy, server: await startServer(env, await makeTestFolder()) };
}

test('reports within the timeout that the database has stopped responding, and later that it has recovered', {
  tags: 'scenario',
}, async () => {
  const { proxy, server } = await startWithDatabaseProxy();
  expect((await call(`${server.url}/healthz`)).status).toBe(200);
  proxy.blackhole();
  for (const path of ['/healthz', '/v1/healthz', '/api/v1/health/detailed']) {
    const startedAt = performance.now();
    const { status, bytes } = await call(server.url + path);
    expect(performance.now() - startedAt, path).toBeLessThan(8_000 * timeScale);
    expect([200, 503], path).toContain(status);
    expect(bytes.toString(), path).toMatch(/database/);
  }
  expect((await call(`${server.url}/healthz`)).status).toBe(503);
  await proxy.resume();
  await expect.poll(async () => (await call(`${server.url}/healthz`)).status).toBe(200);
});

test('returns 503 with Retry-After while the database is down, and keeps running', async () => {
  const { proxy, server } = await startWithDatabaseProxy();
  await proxy.stop();
  const { status, headers, body } = await call(`${server.url}/v1/images`);
  expect({ status, body }).toMatchObject({
    status: 503,
    body: { code: 'database_unavailable', detail: 'The database cannot be reached; try again.' },
  });
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  await proxy.resume();
  await expect.poll(async () => (await call(`${server.url}/v1/images`)).status).toBe(200);
});
