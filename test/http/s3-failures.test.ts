import { describe, expect, test } from 'vitest';
import { call, expectProblem, form } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Environment } from '../support/process/s3.ts';
import { startServer } from '../support/process/server.ts';
import { services } from '../support/services.ts';
import { startProxy } from '../storage/s3/support/proxy.ts';
import { timeScale } from '../support/time-scale.ts';

/** Uploads a picture. The server may reject it. */
const send = (url: string, bytes: Buffer) =>
  call(`${url}/v1/images`, { method: 'POST', body: form(['file', bytes]) });

const expectHealth = (url: string, status: number) =>
  expect.poll(async () => (await call(`${url}/v1/healthz`)).status).toBe(status);

describe.skipIf(!services.s3Endpoint)('a server with failing S3 storage', () => {
  test('responds to uploads with 503 within the timeout, stores nothing, and later accepts the same upload', async () => {
    const proxy = await startProxy();
    const { url } = await startServer(s3Environment({ S3_ENDPOINT: proxy.url, S3_TIMEOUT_SECONDS: '1' }));
    const bytes = await jpeg('rejected at first');
    for (const fault of ['no response', 'error 500'] as const) {
      proxy.fault(fault);
      const startedAt = performance.now();
      expectProblem(await send(url, bytes), 503, 'storage_failed');
      expect(performance.now() - startedAt).toBeLessThan(5_000 * timeScale);
      // Health results are cached for a second.
      await expectHealth(url, 503);
    }
    await proxy.down();
    expectProblem(await send(url, bytes), 503, 'storage_failed');
    await proxy.up();
    proxy.fault('none');
    expect((await send(url, bytes)).status).toBe(201);
    await expectHealth(url, 200);
  });

  test('does not write to the bucket for health requests', async () => {
    const proxy = await startProxy();
    const { url } = await startServer(s3Environment({ S3_ENDPOINT: proxy.url }));
    const startedAt = performance.now();
    for (let round = 0; round < 10; round += 1) {
      const paths = [
        '/healthz',
        '/v1/healthz',
        '/api/v1/health',
        '/api/v1/health/ready',
        '/api/v1/health/detailed',
      ];
      const responses = await Promise.all(paths.map((path) => call(url + path)));
      expect(responses.map(({ status }) => status)).toEqual(paths.map(() => 200));
    }
    // The scheduled health check writes to the bucket at startup and every 30 s.
    const seconds = (performance.now() - startedAt) / 1_000;
    const writes = proxy.responses.filter((request) => request.startsWith('PUT')).length;
    expect(writes).toBeLessThanOrEqual(3 + seconds / 30);
    expect(proxy.responses.length).toBeLessThan(20 + 4 * seconds);
  });

  test('starts while storage is unavailable', { tags: 'scenario' }, async () => {
    const { url } = await startServer(
      s3Environment({ S3_ENDPOINT: 'http://127.0.0.1:9', S3_TIMEOUT_SECONDS: '1' }),
    );
    expectProblem(await send(url, await jpeg('before storage')), 503, 'storage_failed');
    expect((await call(`${url}/v1/images`)).status).toBe(200);
  });

  test('aborts the response if the download of an original from S3 is interrupted or stalls', async () => {
    const proxy = await startProxy();
    const { url } = await startServer(s3Environment({ S3_ENDPOINT: proxy.url, S3_TIMEOUT_SECONDS: '1' }));
    const bytes = await jpeg('aborted', 1_500, 1_500);
    const { id } = (await send(url, bytes)).body as { id: number };
    for (const fault of ['truncated body', 'stalled body'] as const) {
      proxy.fault(fault, ({ method }) => method === 'GET');
      await expect(call(`${url}/v1/images/${id}/original`)).rejects.toThrow();
    }
    proxy.fault('none');
    expect((await call(`${url}/v1/images/${id}/original`)).bytes.equals(bytes)).toBe(true);
  });
});
