import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { call, expectProblem, form } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { startServer, useServer } from '../../support/process/server.ts';
import { withKey } from '../../support/process/vitrine-keys.ts';

const admin = 'an-admin-key-of-tests-0123456789abcdef';
const keyEnvironment = { AUTH: 'keys', BOOTSTRAP_ADMIN_KEY: admin };
const server = useServer(keyEnvironment);

async function createKey(body: object): Promise<string> {
  const { headers } = withKey(admin);
  const response = await call<{ key: string }>(`${server().url}/v1/keys`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'test', ...body }),
  });
  expect(response.status).toBe(201);
  return response.body.key;
}

const timestamp = expect.stringMatching(/^\d{4}-/) as string;
const healthRoutes: Record<string, [healthy: object, unhealthy: object]> = {
  '/healthz': [{ status: 'healthy' }, { status: 'unhealthy' }],
  '/v1/healthz': [{ status: 'healthy' }, { status: 'unhealthy' }],
  '/api/v1/health/': [
    { status: 'healthy', timestamp },
    { status: 'unhealthy', timestamp },
  ],
  '/api/v1/health/ready': [
    { status: 'ready', timestamp },
    { status: 'not_ready', timestamp },
  ],
  '/api/v1/health/live': [
    { status: 'alive', timestamp },
    { status: 'alive', timestamp },
  ],
};

describe('with keys, the open health routes', () => {
  test.each(Object.keys(healthRoutes))('tell only the status: %s', async (path) => {
    const response = await call(server().url + path);
    expect([response.status, response.body]).toEqual([200, healthRoutes[path]?.[0]]);
    // A key reveals nothing more, so that caches and proxies need not tell requests apart.
    expect((await call(server().url + path, withKey(admin))).body).toEqual(healthRoutes[path]?.[0]);
  });

  test('tell no reason if a check fails, which only a key can read', async () => {
    const failing = await startServer(keyEnvironment);
    await rename(join(failing.dataDir, 'storage'), join(failing.dataDir, 'elsewhere'));
    await expect.poll(async () => (await call(`${failing.url}/healthz`)).status).toBe(503);
    for (const [path, [, unhealthy]] of Object.entries(healthRoutes))
      expect((await call(failing.url + path)).body, path).toEqual(unhealthy);
    const details = await call(`${failing.url}/api/v1/health/detailed`, withKey(admin));
    expect([details.status, details.body['storage']]).toEqual([
      503,
      expect.objectContaining({ status: 'unhealthy', error: expect.any(String) as string }),
    ]);
  });
});

test('in open mode, health routes also tell what they found', async () => {
  const { url } = await startServer();
  expect((await call(`${url}/v1/healthz`)).body).toMatchObject({
    version: expect.any(String) as string,
    checks: {},
  });
  expect((await call(`${url}/api/v1/health`)).body).toHaveProperty('version');
  expect((await call(`${url}/api/v1/health/ready`)).body).toHaveProperty('checks');
});

test('/ and /info reveal neither libraries nor paths, back ends, tenants or counts', async () => {
  const { url, dataDir } = server();
  const body = form(['tenant', 'private-tenant'], ['file', await jpeg('secret')]);
  const uploaded = await call(`${url}/v1/images`, { method: 'POST', body, ...withKey(admin) });
  expect(uploaded.status).toBe(201);
  for (const [path, fields] of [
    ['/', ['name', 'version', 'docs', 'reference', 'openapi', 'api', 'health']],
    [
      '/info',
      [
        'name',
        'version',
        'max_file_size',
        'max_pixels',
        'max_frames',
        'allowed_types',
        'allowed_extensions',
        'similarity_threshold',
        'max_similar_results',
        'presets',
      ],
    ],
  ] as const) {
    const { body: record, bytes } = await call(url + path);
    expect(Object.keys(record)).toEqual(fields);
    expect(bytes.toString()).not.toMatch(
      /private-tenant|sharp|postgres|pglite|embedded|node_modules|\d+\.\d+\.\d+\.\d+/i,
    );
    expect(bytes.toString()).not.toContain(dataDir);
  }
});

describe('metrics and detailed health', () => {
  const paths = ['/metrics', '/api/v1/health/detailed'];
  const request = (path: string, key?: string) =>
    call(server().url + path, {
      headers: { accept: path === '/metrics' ? 'text/plain' : '*/*', ...(key && withKey(key).headers) },
    });

  test('need the scope metrics.read', async () => {
    const editor = await createKey({ role: 'editor' });
    const scraper = await createKey({ scopes: ['metrics.read'] });
    for (const path of paths) {
      expectProblem(await request(path), 401, 'unauthenticated');
      expect(expectProblem(await request(path, editor), 403, 'missing_scope')).toContain('metrics.read');
      expect((await request(path, scraper)).status).toBe(200);
    }
    // The same path in JSON is the usage of the tenants, which has a scope of its own.
    const json = { headers: { ...withKey(scraper).headers, accept: 'application/json' } };
    expectProblem(await call(`${server().url}/metrics`, json), 403, 'missing_scope');
    expect((await call(`${server().url}/metrics`, withKey(editor))).status).toBe(200);
  });

  test('are closed to keys of one tenant, because they cover all tenants', async () => {
    const tenantAdmin = await createKey({ role: 'admin', tenant: 'shop' });
    for (const path of paths)
      expect(expectProblem(await request(path, tenantAdmin), 403, 'tenant_not_allowed')).toContain('"shop"');
  });
});
