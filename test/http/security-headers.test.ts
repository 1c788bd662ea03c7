import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { makeBareServer } from './support/bare-server.ts';

const server = useServer();

/** Expects that browsers neither guess a type, nor show the response in a frame, nor run anything in it or reveal its URL. */
function expectSecurityHeaders(headers: Headers, subject: string): void {
  const policy = headers.get('content-security-policy') ?? '';
  const directives = Object.fromEntries(
    policy.split(';').map((directive) => directive.trim().split(/ (.*)/s).slice(0, 2)),
  ) as Record<string, string>;
  expect(headers.get('x-content-type-options'), subject).toBe('nosniff');
  expect(headers.get('x-frame-options'), subject).toBe('DENY');
  expect(headers.get('referrer-policy'), subject).toBe('no-referrer');
  expect(directives['frame-ancestors'], subject).toBe("'none'");
  expect(directives['default-src'], subject).toMatch(/^'(?:none|self)'$/);
  expect(directives['script-src'] ?? directives['default-src'], subject).not.toContain('unsafe');
  expect(headers.get('access-control-allow-credentials'), subject).toBeNull();
}

type OpenApiPaths = { paths: Record<string, Record<string, unknown>> };

test('are sent by every documented route, whatever it responds', async () => {
  const { url } = server();
  const { paths } = (await call<OpenApiPaths>(`${url}/api/v1/openapi.json`)).body;
  const routes = Object.entries(paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
  );
  expect(routes.length).toBeGreaterThan(50);
  for (const { method, path } of routes) {
    const target = url + path.replaceAll(/\{\w+\}/g, '7');
    for (const headers of [{}, { origin: 'http://localhost:3000' }] as Record<string, string>[]) {
      const response = await call(target, { method, headers });
      expect(response.status, `${method} ${path}`).toBeLessThan(500);
      expectSecurityHeaders(response.headers, `${method} ${path} ${response.status}`);
    }
  }
});

test('are sent with pages, their assets, preflights and unknown URLs', async () => {
  const { url } = server();
  const page = (await call(`${url}/docs`)).bytes.toString();
  const assets = Array.from(page.matchAll(/(?:src|href)="\.?([^":]+)"/g), ([, path = '']) => path);
  expect(assets.length).toBeGreaterThan(3);
  for (const path of ['/docs', '/redoc', ...assets.map((asset) => new URL(asset, `${url}/docs`).pathname)]) {
    const response = await call(url + path);
    expect(response.status, path).toBe(200);
    expectSecurityHeaders(response.headers, path);
  }
  for (const [method, path] of [
    ['GET', '/nowhere'],
    ['DELETE', '/info'],
    ['OPTIONS', '/v1/images'],
    ['GET', '/%ff'],
    ['GET', `/v1/images/${'x'.repeat(500)}`],
  ] as const)
    expectSecurityHeaders((await call(url + path, { method })).headers, `${method} ${path}`);
});

test('are sent with pictures, from storage and from the cache, and do not keep other sites from showing them', async () => {
  const { url } = server();
  const { id } = (await upload(url, await jpeg('headers'))).body;
  for (const path of ['renditions/card', 'renditions/card', 'thumbnail', 'original'])
    for (const method of ['GET', 'HEAD']) {
      const response = await call(`${url}/v1/images/${id}/${path}`, { method });
      expect(response.status).toBe(200);
      expectSecurityHeaders(response.headers, path);
      expect(response.headers.get('content-security-policy')).toContain('sandbox');
      expect(response.headers.get('cross-origin-resource-policy')).toBeNull();
      const headers = { 'if-none-match': response.headers.get('etag') ?? '' };
      const unchanged = await call(`${url}/v1/images/${id}/${path}`, { method, headers });
      expect(unchanged.status).toBe(304);
      expectSecurityHeaders(unchanged.headers, `304 ${path}`);
    }
});

test('are sent with the response to a request that is not HTTP', async () => {
  const { hostname, port } = new URL(server().url);
  const socket = connect(Number(port), hostname);
  socket.write('GET / HTTP/1.1\r\nbroken\r\n\r\n');
  const [statusLine = '', ...lines] = ((await text(socket)).split('\r\n\r\n')[0] ?? '').split('\r\n');
  expect(statusLine).toMatch(/^HTTP\/1\.1 400 /);
  const headers = new Headers(lines.map((line) => line.split(/: (.*)/s).slice(0, 2) as [string, string]));
  expectSecurityHeaders(headers, statusLine);
});

test('allow pages of configured origins to send keys and to read the limits, never with cookies', async () => {
  const origin = 'https://shop.example';
  const requestHeaders = 'authorization,x-api-key,idempotency-key,content-type';
  for (const CORS_ORIGINS of [origin, '*']) {
    const app = await makeBareServer({ CORS_ORIGINS });
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/v1/images',
      headers: {
        origin,
        'access-control-request-method': 'POST',
        'access-control-request-headers': requestHeaders,
      },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers['access-control-allow-origin']).toBe(CORS_ORIGINS);
    expect(preflight.headers['access-control-allow-headers']).toBe(requestHeaders);
    const response = await app.inject({ url: '/info', headers: { origin, cookie: 'session=1' } });
    const exposedHeaders = String(response.headers['access-control-expose-headers']).split(', ');
    expect(exposedHeaders).toEqual(
      expect.arrayContaining(['ratelimit', 'ratelimit-policy', 'retry-after', 'idempotency-replayed']),
    );
    for (const { headers } of [preflight, response])
      expect(headers).not.toHaveProperty('access-control-allow-credentials');
  }
});
