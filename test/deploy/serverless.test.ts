import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { runOnServer } from '../support/inner/server-database.ts';
import { startOrigin } from '../support/inner/origin.ts';
import { call, expectProblem, type ImageRecord, upload, uploadQueued } from '../support/process/client.ts';
import { createKey } from '../support/process/vitrine-keys.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Keys } from '../support/process/s3.ts';
import { loadServerlessConfig } from '../../src/serverless/settings.ts';
import { services } from '../support/services.ts';
import { createFunctionEnvironment, functionKeys, startFunction } from './support/function-host.ts';
import { timeScale } from '../support/time-scale.ts';

beforeEach(() => {
  // The SDK reads the bucket credentials from the environment.
  for (const [name, value] of Object.entries(s3Keys)) vi.stubEnv(name, value);
  return () => vi.unstubAllEnvs();
});

const fetchImage = async (url: string, id: number) =>
  (await call<ImageRecord>(`${url}/v1/images/${id}`)).body;

const importUrl = (base: string, url: string) =>
  call<ImageRecord>(`${base}/v1/images`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ url }),
  });

/** Starts an origin that does not respond until `enable` is called. */
async function startDisabledOrigin(bytes: Buffer) {
  let isEnabled = false;
  const server = createServer((_request, response) => {
    if (isEnabled) response.end(bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/slow.jpg`, enable: () => (isEnabled = true) };
}

describe.runIf(services.databaseUrl && services.s3Endpoint)('a serverless function', () => {
  test('responds to an inline upload and serves its renditions', async () => {
    const host = await startFunction(await createFunctionEnvironment());
    const { status, body } = await upload(host.url, await jpeg('function inline'));
    expect(status).toBe(201);
    const rendition = await call(`${host.url}${body.renditions[0]?.url}`);
    expect(rendition.status).toBe(200);
    expect(rendition.headers.get('content-type')).toBe('image/jpeg');
    expect((await call(`${host.url}/healthz`)).body).toEqual({ status: 'healthy' });
    expectProblem(await call(`${host.url}/nowhere`), 404, 'route_not_found');
    await host.drain();
  });

  test('processes a queued upload in the same invocation, after the response', async () => {
    const host = await startFunction(await createFunctionEnvironment());
    const { body } = await uploadQueued(host.url, await jpeg('function queued'));
    await host.drain();
    expect(await fetchImage(host.url, body.asset_id)).toMatchObject({ status: 'completed' });
    await host.drain();
  });

  test('retries a failed import in the same invocation', { tags: 'scenario' }, async () => {
    const host = await startFunction(
      await createFunctionEnvironment({ IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32' }),
    );
    const origin = await startOrigin();
    const url = origin.put('/picture.jpg', 503);
    const { status, body } = await importUrl(host.url, url);
    expect(status).toBe(202);
    await expect.poll(() => origin.requestCount('/picture.jpg')).toBe(1);
    origin.put('/picture.jpg', await jpeg('function import'));
    await host.drain();
    expect(await fetchImage(host.url, body.id)).toMatchObject({ status: 'completed' });
    await host.drain();
  });

  test("releases a hanging download's job at the end of the invocation, and completes the job in a cron invocation", async () => {
    const environment = await createFunctionEnvironment({ IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32' });
    const host = await startFunction({ ...environment, CRON_SECRET: 'the cron secret' }, { workMs: 300 });
    const disabledOrigin = await startDisabledOrigin(await jpeg('function slow'));
    const { body } = await importUrl(host.url, disabledOrigin.url);
    const startedAt = performance.now();
    await host.drain();
    expect(performance.now() - startedAt).toBeLessThan(3_000 * timeScale);
    expect((await fetchImage(host.url, body.id)).status).toMatch(/^(pending|processing)$/);
    disabledOrigin.enable();
    const headers = { authorization: 'Bearer the cron secret' };
    const cronResponse = await call(`${host.url}/api/cron`, { headers });
    expect(cronResponse.body).toEqual({ done: true });
    expect(await fetchImage(host.url, body.id)).toMatchObject({ status: 'completed' });
    await host.drain();
  });

  test('processes remaining jobs in cron requests, which require the secret', async () => {
    const environment = await createFunctionEnvironment();
    const hostWithoutSecret = await startFunction(environment, { workMs: 0 });
    const { body } = await uploadQueued(hostWithoutSecret.url, await jpeg('function cron'));
    await hostWithoutSecret.drain();
    expectProblem(await call(`${hostWithoutSecret.url}/api/cron`), 503, 'unavailable');
    const host = await startFunction({ ...environment, CRON_SECRET: 'the cron secret' });
    expect((await call(`${host.url}/api/cron`)).status).toBe(401);
    const wrongSecretRequest = { headers: { authorization: 'Bearer the cron secreT' } };
    expect((await call(`${host.url}/api/cron`, wrongSecretRequest)).status).toBe(401);
    const correctSecretRequest = { headers: { authorization: 'Bearer the cron secret' } };
    expect((await call(`${host.url}/api/cron`, correctSecretRequest)).status).toBe(200);
    expect(await fetchImage(hostWithoutSecret.url, body.asset_id)).toMatchObject({ status: 'completed' });
    const usage = await call<{ totals: { images: number } }>(`${host.url}/v1/metrics`);
    expect(usage.body.totals.images).toBe(1);
    await Promise.all([hostWithoutSecret.drain(), host.drain()]);
  });

  test('can be started twice at the same time with an empty database', { tags: 'scenario' }, async () => {
    const environment = await createFunctionEnvironment({}, false);
    const hosts = await Promise.all([startFunction(environment), startFunction(environment)]);
    const bytes = await jpeg('function cold');
    const responses = await Promise.all([...hosts, ...hosts].map(({ url }) => upload(url, bytes)));
    expect(responses.map(({ status }) => status).every((status) => [200, 201, 202].includes(status))).toBe(
      true,
    );
    expect(new Set(responses.map(({ body }) => body.id)).size).toBe(1);
    for (const host of hosts) await host.drain();
  });

  test('retries a failed start on the next request', async () => {
    const environment = await createFunctionEnvironment({ DATABASE_WAIT_SECONDS: '0' });
    const name = new URL(environment['DATABASE_URL'] ?? '').pathname.slice(1);
    await runOnServer(`ALTER DATABASE ${name} RENAME TO ${name}_hidden`);
    const host = await startFunction({ ...environment, LOG_LEVEL: 'silent' });
    const detail = expectProblem(await call(`${host.url}/v1/images`), 503, 'unavailable');
    expect(detail).not.toContain(name);
    await runOnServer(`ALTER DATABASE ${name}_hidden RENAME TO ${name}`);
    expect((await call(`${host.url}/v1/images`)).status).toBe(200);
    await host.drain();
  });
});

describe.runIf(services.databaseUrl && services.s3Endpoint)('a serverless function with keys', () => {
  const { BOOTSTRAP_ADMIN_KEY: bootstrapKey } = functionKeys;
  const paths = ['/', '/docs', '/healthz', '/info', '/v1/images', '/upload/', '/metrics'];

  test('is never open: it needs a secret, then a first key, and then a key for each request', async () => {
    const environment = await createFunctionEnvironment(functionKeys);
    const { SECRET_KEY: _secret, ...withoutSecret } = environment;
    const { BOOTSTRAP_ADMIN_KEY: _key, ...withoutKey } = environment;
    for (const [settings, name] of [
      [withoutSecret, 'SECRET_KEY'],
      [{ ...environment, SECRET_KEY: 'change_me' }, 'SECRET_KEY'],
      [{ ...environment, BOOTSTRAP_ADMIN_KEY: 'short' }, 'BOOTSTRAP_ADMIN_KEY'],
      [withoutKey, 'BOOTSTRAP_ADMIN_KEY'],
    ] as const) {
      const host = await startFunction({ ...settings, LOG_LEVEL: 'silent', CRON_SECRET: 'the cron secret' });
      for (const path of paths)
        expect(expectProblem(await call(host.url + path), 503, 'unavailable'), path).toContain(name);
      const headers = { authorization: 'Bearer the cron secret' };
      expectProblem(await call(`${host.url}/api/cron`, { headers }), 503, 'unavailable');
    }
    const host = await startFunction(environment);
    expectProblem(await call(`${host.url}/v1/images`), 401, 'unauthenticated');
    expectProblem(await call(`${host.url}/upload/`, { method: 'POST' }), 401, 'unauthenticated');
    expect((await call(`${host.url}/healthz`)).body).toEqual({ status: 'healthy' });
    expect((await upload(host.url, await jpeg('function key'), 'shop', '', bootstrapKey)).status).toBe(201);
    await host.drain();
  });

  test('works without the bootstrap key once there is a key of its own', async () => {
    const { BOOTSTRAP_ADMIN_KEY: _key, ...environment } = await createFunctionEnvironment(functionKeys);
    const host = await startFunction({ ...environment, LOG_LEVEL: 'silent' });
    expectProblem(await call(`${host.url}/v1/images`), 503, 'unavailable');
    // The page describes this command for a machine that can reach the database.
    const key = await createKey(environment, '--role', 'admin');
    const headers = { authorization: `Bearer ${key}` };
    expect((await call(`${host.url}/v1/images`, { headers })).status).toBe(200);
    expectProblem(await call(`${host.url}/v1/images`), 401, 'unauthenticated');
    await host.drain();
  });
});

describe('the settings of a serverless function', () => {
  test('are reported together on every path if they are missing', async () => {
    const host = await startFunction({});
    const paths = ['/', '/healthz', '/v1/images', '/upload/', '/api/v1/health'];
    for (const path of paths) {
      const detail = expectProblem(await call(`${host.url}${path}`), 503, 'unavailable');
      const reportedSettings = detail.match(/[A-Z0-9]+_[A-Z0-9_]+(?=: (?:not set|must be))/g);
      expect(reportedSettings).toEqual([
        'DATABASE_URL',
        'STORAGE_TYPE',
        'S3_BUCKET',
        'AWS_ACCESS_KEY_ID',
        'AWS_SECRET_ACCESS_KEY',
        'SECRET_KEY',
      ]);
    }
  });

  test('treat the server as exposed to other machines, regardless of HOST', () => {
    const { server, purge } = loadServerlessConfig({
      AUTH: 'open',
      HOST: '127.0.0.1',
      DATABASE_URL: 'postgres://database/vitrine',
      STORAGE_TYPE: 's3',
      S3_BUCKET: 'pictures',
      ...s3Keys,
    });
    expect([server.isExposed, server.isOnLoopback, purge.confirmToken]).toEqual([true, false, undefined]);
  });

  test('are reported together if they are missing or invalid', async () => {
    const host = await startFunction({ STORAGE_TYPE: 's3', PORT: 'many', ...s3Keys });
    const detail = expectProblem(await call(host.url), 503, 'unavailable');
    expect(detail).toContain('DATABASE_URL: not set');
    expect(detail).toContain('PORT: "many"');
    expect(detail.match(/S3_BUCKET/g)).toHaveLength(1);
  });
});
