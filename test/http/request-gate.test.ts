import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { describe, expect, test } from 'vitest';
import { makeBareServer } from './support/bare-server.ts';

const otherOrigin = 'https://evil.example';

/**
 * Sends a request that needs no services, and returns the response status. The status of an allowed request is 200 for a safe
 * method and 404 for an unsafe method.
 */
async function fetchStatus(
  app: FastifyInstance,
  headers: Record<string, string>,
  options: InjectOptions = {},
) {
  return (await app.inject({ url: '/info', headers, ...options })).statusCode;
}

async function fetchErrorCode(app: FastifyInstance, headers: Record<string, string>, options: InjectOptions) {
  return (await app.inject({ headers, ...options })).json<{ code: string }>().code;
}

/** Sends raw bytes and returns the response. */
async function sendRaw(app: FastifyInstance, bytes: string): Promise<string> {
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

describe('the host of a request', () => {
  test('may be a loopback name, an IP address or an allowed name, with any port, if the server listens on loopback', async () => {
    const app = await makeBareServer({
      ALLOWED_HOSTS: 'Pictures.example.com, *.shop.example',
      PUBLIC_URL: 'https://public.example:8443',
    });
    const allowedHosts = [
      'localhost',
      'LOCALHOST:8000',
      'localhost.',
      'localhost.:9000',
      'app.localhost:8000',
      '127.0.0.1:65535',
      '127.1',
      '192.0.2.7',
      '[::1]:8000',
      '[::ffff:127.0.0.1]',
      '[2001:db8::1]',
      'pictures.example.com',
      'PICTURES.example.com.:443',
      'a.shop.example',
      'a.b.shop.example:80',
      'public.example',
    ];
    for (const host of allowedHosts) expect(await fetchStatus(app, { host }), host).toBe(200);
    const rejectedHosts = [
      'evil.example',
      'evil.example:8000',
      'localhost.evil.example',
      'evillocalhost',
      'localhost..',
      'localhost@evil.example',
      'evil.example#.localhost',
      '127.0.0.1.evil.example',
      'shop.example',
      'evilshop.example',
      'pictures.example.com.evil.example',
      'localhost:80:80',
      'localhost:port',
      'two words',
      '[::1',
    ];
    for (const host of rejectedHosts) expect(await fetchStatus(app, { host }), host).toBe(421);
  });

  test('is rejected in every API and for every method if it is not allowed, with a message that mentions ALLOWED_HOSTS', async () => {
    const app = await makeBareServer();
    const requests = [
      ['GET', '/'],
      ['GET', '/v1/images'],
      ['GET', '/v1/images/1/renditions/card'],
      ['POST', '/v1/purge'],
      ['POST', '/purge/?dry_run=false'],
      ['GET', '/retrieve/asset/1'],
      ['DELETE', '/api/v1/images/1'],
      ['HEAD', '/healthz'],
      ['OPTIONS', '/v1/images'],
      ['GET', '/docs'],
      ['GET', '/nothing-here'],
    ] as const;
    for (const [method, url] of requests) {
      const headers = { host: 'rebound.example:8000', origin: 'http://rebound.example:8000' };
      const response = await app.inject({ method, url, headers });
      expect(response.statusCode, `${method} ${url}`).toBe(421);
      expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
      if (method === 'HEAD') continue;
      const { code, detail } = response.json<{ code: string; detail: string }>();
      expect(code).toBe('host_not_allowed');
      expect(detail).toMatch(/"rebound\.example:8000": it listens on loopback only\..*ALLOWED_HOSTS.*\.$/);
    }
  });

  test('is also checked in an absolute request target, and may be missing from an HTTP/1.0 request', async () => {
    const fetchStatusLine = async (head: string) =>
      (await sendRaw(await makeBareServer(), head)).split('\r\n', 1)[0];
    const localHost = 'Host: localhost\r\nConnection: close\r\n\r\n';
    expect(await fetchStatusLine(`GET http://evil.example/info HTTP/1.1\r\n${localHost}`)).toContain('421');
    expect(await fetchStatusLine(`GET http://localhost:8000/info HTTP/1.1\r\n${localHost}`)).toContain('200');
    expect(
      await fetchStatusLine(
        'GET http://localhost/info HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n',
      ),
    ).toContain('421');
    expect(await fetchStatusLine('GET /info HTTP/1.0\r\n\r\n')).toContain('200');
    expect(await fetchStatusLine('GET /info HTTP/1.1\r\n\r\n')).toContain('400');
  });

  test('may be any host if the server does not listen on loopback and no hosts are configured', async () => {
    const unrestrictedApp = await makeBareServer({ HOST: '0.0.0.0' });
    const restrictedApp = await makeBareServer({
      HOST: '0.0.0.0',
      PUBLIC_URL: 'https://pictures.example.com',
    });
    const wildcardApp = await makeBareServer({ HOST: '127.0.0.1', ALLOWED_HOSTS: '*' });
    expect(await fetchStatus(unrestrictedApp, { host: 'any.example' })).toBe(200);
    expect(await fetchStatus(restrictedApp, { host: 'any.example' })).toBe(421);
    expect(await fetchStatus(restrictedApp, { host: 'pictures.example.com' })).toBe(200);
    expect(await fetchStatus(restrictedApp, { host: '10.1.2.3:10000' })).toBe(200);
    expect(await fetchStatus(wildcardApp, { host: 'any.example' })).toBe(200);
  });
});

describe('the origin of a request', () => {
  const unsafeRequests = [
    ['POST', '/v1/purge'],
    ['POST', '/v1/purge/deleted'],
    ['POST', '/purge/?dry_run=false&days=0'],
    ['POST', '/v1/images'],
    ['POST', '/upload/'],
    ['DELETE', '/v1/images/1'],
    ['PUT', '/v1/images/1/references/x'],
    ['POST', '/v1/jobs/retry'],
    ['POST', '/api/v1/images/upload'],
    ['POST', '/compare/1'],
    ['PATCH', '/nothing-here'],
  ] as const;

  test('must be allowed for writes, regardless of the path', async () => {
    const environments: Record<string, string>[] = [
      {},
      { HOST: '0.0.0.0' },
      { CORS_ORIGINS: '*' },
      { PUBLIC_URL: 'https://a.example' },
    ];
    for (const env of environments) {
      const app = await makeBareServer(env);
      for (const [method, url] of unsafeRequests) {
        const origins: Record<string, string>[] = [
          { origin: otherOrigin, 'sec-fetch-site': 'cross-site' },
          { origin: otherOrigin, 'sec-fetch-site': 'same-origin' },
          { origin: otherOrigin },
          { origin: 'null' },
          { origin: '' },
          { origin: `http://localhost:80, ${otherOrigin}` },
          { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' },
          { origin: 'http://127.0.0.1' },
          { 'sec-fetch-site': 'cross-site' },
          { 'sec-fetch-site': 'same-site' },
        ];
        for (const origin of origins) {
          const headers = { host: 'localhost', 'content-type': 'text/plain', ...origin };
          const description = `${JSON.stringify(env)} ${method} ${url} ${JSON.stringify(origin)}`;
          expect(await fetchStatus(app, headers, { method, url }), description).toBe(403);
        }
      }
    }
  });

  test('is included in the error message, together with the settings that can allow it', async () => {
    const app = await makeBareServer({ CORS_ORIGINS: '*' });
    const response = await app.inject({ method: 'POST', url: '/v1/purge', headers: { origin: otherOrigin } });
    const { code, detail } = response.json<{ code: string; detail: string }>();
    expect(code).toBe('origin_not_allowed');
    expect(detail).toMatch(/"https:\/\/evil\.example".*\(`\*` in CORS_ORIGINS.*add the origin.*PUBLIC_URL/);
  });

  test('does not restrict reads', async () => {
    const app = await makeBareServer();
    const headers = { host: 'localhost', origin: otherOrigin, 'sec-fetch-site': 'cross-site' };
    expect(await fetchStatus(app, headers)).toBe(200);
    expect(await fetchStatus(app, headers, { method: 'HEAD' })).toBe(200);
    expect(await fetchStatus(app, headers, { method: 'OPTIONS' })).toBe(204);
  });

  test('may be the server’s origin or a configured origin, regardless of Sec-Fetch-Site', async () => {
    const app = await makeBareServer({
      CORS_ORIGINS: 'https://shop.example',
      PUBLIC_URL: 'https://pictures.example.com:8443',
      ALLOWED_HOSTS: 'pictures.example.com,inner.example',
    });
    const origins = [
      { host: 'localhost:8000', origin: 'http://localhost:8000', 'sec-fetch-site': 'same-origin' },
      { host: 'localhost:8000', origin: 'http://localhost:8000', 'sec-fetch-site': 'cross-site' },
      { host: '[::1]:8000', origin: 'http://[::1]:8000' },
      { host: 'LOCALHOST', origin: 'http://localhost' },
      // A proxy that terminates TLS may include or omit the default port.
      { host: 'pictures.example.com', origin: 'https://pictures.example.com' },
      { host: 'pictures.example.com:443', origin: 'https://pictures.example.com' },
      { host: 'inner.example', origin: 'https://pictures.example.com:8443' },
      { host: 'localhost', origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' },
      { host: 'localhost', 'sec-fetch-site': 'same-origin' },
      { host: 'localhost', 'sec-fetch-site': 'none' },
      { host: 'localhost' },
    ];
    for (const origin of origins) {
      const request = { method: 'POST', url: '/nothing-here' } as const;
      const headers = origin as Record<string, string>;
      expect(await fetchErrorCode(app, headers, request), JSON.stringify(origin)).toBe('route_not_found');
    }
  });

  test('is checked before the body is received', async () => {
    const app = await makeBareServer();
    const head = `POST /v1/images HTTP/1.1\r\nHost: localhost\r\nOrigin: ${otherOrigin}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000000\r\n\r\n--x`;
    expect(await sendRaw(app, head)).toMatch(/^HTTP\/1\.1 403 .*origin_not_allowed/s);
  });

  test('may be any origin for reads, but not for writes, if CORS_ORIGINS is *', async () => {
    const app = await makeBareServer({ CORS_ORIGINS: '*' });
    const headers = { origin: otherOrigin, 'access-control-request-method': 'POST' };
    const preflight = await app.inject({ method: 'OPTIONS', url: '/v1/images', headers });
    expect(preflight.headers['access-control-allow-methods']).toBe('GET, HEAD');
  });
});
