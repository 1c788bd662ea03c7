import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import type { FastifyInstance, InjectOptions } from 'fastify';
import { describe, expect, test } from 'vitest';
import { bareServer } from './support/bare-server.ts';

const evil = 'https://evil.example';

/** Sends a request to an address without a service. If it passes the gate, a safe one gets 200 and an unsafe one 404. */
async function statusOf(app: FastifyInstance, headers: Record<string, string>, rest: InjectOptions = {}) {
  return (await app.inject({ url: '/info', headers, ...rest })).statusCode;
}

async function codeOf(app: FastifyInstance, headers: Record<string, string>, rest: InjectOptions) {
  return (await app.inject({ headers, ...rest })).json<{ code: string }>().code;
}

/** Sends raw bytes and returns the response. */
async function sendRaw(app: FastifyInstance, bytes: string): Promise<string> {
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }));
  const socket = connect(Number(port), '127.0.0.1');
  socket.write(bytes);
  return text(socket);
}

describe('the host of a request', () => {
  test('may be a loopback name, an address or an allowed name on loopback, with any port', async () => {
    const app = await bareServer({
      ALLOWED_HOSTS: 'Pictures.example.com, *.shop.example',
      PUBLIC_URL: 'https://public.example:8443',
    });
    const served = [
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
    for (const host of served) expect(await statusOf(app, { host }), host).toBe(200);
    const strange = [
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
    for (const host of strange) expect(await statusOf(app, { host }), host).toBe(421);
  });

  test('is refused on every surface and for every method, naming the host and the setting', async () => {
    const app = await bareServer();
    const calls = [
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
    for (const [method, url] of calls) {
      const headers = { host: 'rebound.example:8000', origin: 'http://rebound.example:8000' };
      const answer = await app.inject({ method, url, headers });
      expect(answer.statusCode, `${method} ${url}`).toBe(421);
      expect(answer.headers['content-type']).toMatch(/^application\/problem\+json/);
      if (method === 'HEAD') continue;
      const { code, detail } = answer.json<{ code: string; detail: string }>();
      expect(code).toBe('host_not_allowed');
      expect(detail).toMatch(/"rebound\.example:8000": it listens on loopback only\..*ALLOWED_HOSTS.*\.$/);
    }
  });

  test('is also checked in the request target, and may be missing in HTTP/1.0', async () => {
    const ask = async (head: string) => (await sendRaw(await bareServer(), head)).split('\r\n', 1)[0];
    const local = 'Host: localhost\r\nConnection: close\r\n\r\n';
    expect(await ask(`GET http://evil.example/info HTTP/1.1\r\n${local}`)).toContain('421');
    expect(await ask(`GET http://localhost:8000/info HTTP/1.1\r\n${local}`)).toContain('200');
    expect(
      await ask('GET http://localhost/info HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'),
    ).toContain('421');
    expect(await ask('GET /info HTTP/1.0\r\n\r\n')).toContain('200');
    expect(await ask('GET /info HTTP/1.1\r\n\r\n')).toContain('400');
  });

  test('is checked beyond loopback once hosts are configured', async () => {
    const open = await bareServer({ HOST: '0.0.0.0' });
    const named = await bareServer({ HOST: '0.0.0.0', PUBLIC_URL: 'https://pictures.example.com' });
    const all = await bareServer({ HOST: '127.0.0.1', ALLOWED_HOSTS: '*' });
    expect(await statusOf(open, { host: 'any.example' })).toBe(200);
    expect(await statusOf(named, { host: 'any.example' })).toBe(421);
    expect(await statusOf(named, { host: 'pictures.example.com' })).toBe(200);
    expect(await statusOf(named, { host: '10.1.2.3:10000' })).toBe(200);
    expect(await statusOf(all, { host: 'any.example' })).toBe(200);
  });
});

describe('the origin of a request', () => {
  const unsafe = [
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

  test('must not differ for writes, whatever the address', async () => {
    const servers: Record<string, string>[] = [
      {},
      { HOST: '0.0.0.0' },
      { CORS_ORIGINS: '*' },
      { PUBLIC_URL: 'https://a.example' },
    ];
    for (const env of servers) {
      const app = await bareServer(env);
      for (const [method, url] of unsafe) {
        const pages: Record<string, string>[] = [
          { origin: evil, 'sec-fetch-site': 'cross-site' },
          { origin: evil, 'sec-fetch-site': 'same-origin' },
          { origin: evil },
          { origin: 'null' },
          { origin: '' },
          { origin: `http://localhost:80, ${evil}` },
          { origin: 'http://localhost:5173', 'sec-fetch-site': 'same-site' },
          { origin: 'http://127.0.0.1' },
          { 'sec-fetch-site': 'cross-site' },
          { 'sec-fetch-site': 'same-site' },
        ];
        for (const page of pages) {
          const headers = { host: 'localhost', 'content-type': 'text/plain', ...page };
          const what = `${JSON.stringify(env)} ${method} ${url} ${JSON.stringify(page)}`;
          expect(await statusOf(app, headers, { method, url }), what).toBe(403);
        }
      }
    }
  });

  test('is named in the refusal, with the settings that allow it', async () => {
    const app = await bareServer({ CORS_ORIGINS: '*' });
    const answer = await app.inject({ method: 'POST', url: '/v1/purge', headers: { origin: evil } });
    const { code, detail } = answer.json<{ code: string; detail: string }>();
    expect(code).toBe('origin_not_allowed');
    expect(detail).toMatch(/"https:\/\/evil\.example".*\(`\*` in CORS_ORIGINS.*add the origin.*PUBLIC_URL/);
  });

  test('does not restrict reads', async () => {
    const app = await bareServer();
    const headers = { host: 'localhost', origin: evil, 'sec-fetch-site': 'cross-site' };
    expect(await statusOf(app, headers)).toBe(200);
    expect(await statusOf(app, headers, { method: 'HEAD' })).toBe(200);
    expect(await statusOf(app, headers, { method: 'OPTIONS' })).toBe(204);
  });

  test('may be the server or a configured origin, whatever Sec-Fetch-Site says', async () => {
    const app = await bareServer({
      CORS_ORIGINS: 'https://shop.example',
      PUBLIC_URL: 'https://pictures.example.com:8443',
      ALLOWED_HOSTS: 'pictures.example.com,inner.example',
    });
    const pages = [
      { host: 'localhost:8000', origin: 'http://localhost:8000', 'sec-fetch-site': 'same-origin' },
      { host: 'localhost:8000', origin: 'http://localhost:8000', 'sec-fetch-site': 'cross-site' },
      { host: '[::1]:8000', origin: 'http://[::1]:8000' },
      { host: 'LOCALHOST', origin: 'http://localhost' },
      // TLS ends at the proxy, which may include or omit the default port.
      { host: 'pictures.example.com', origin: 'https://pictures.example.com' },
      { host: 'pictures.example.com:443', origin: 'https://pictures.example.com' },
      { host: 'inner.example', origin: 'https://pictures.example.com:8443' },
      { host: 'localhost', origin: 'https://shop.example', 'sec-fetch-site': 'cross-site' },
      { host: 'localhost', 'sec-fetch-site': 'same-origin' },
      { host: 'localhost', 'sec-fetch-site': 'none' },
      { host: 'localhost' },
    ];
    for (const page of pages) {
      const request = { method: 'POST', url: '/nothing-here' } as const;
      const headers = page as Record<string, string>;
      expect(await codeOf(app, headers, request), JSON.stringify(page)).toBe('route_not_found');
    }
  });

  test('is refused before the body was received', async () => {
    const app = await bareServer();
    const head = `POST /v1/images HTTP/1.1\r\nHost: localhost\r\nOrigin: ${evil}\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 100000000\r\n\r\n--x`;
    expect(await sendRaw(app, head)).toMatch(/^HTTP\/1\.1 403 .*origin_not_allowed/s);
  });

  test('may be null for reads with CORS_ORIGINS=*, and preflights allow reads only', async () => {
    const app = await bareServer({ CORS_ORIGINS: '*' });
    const headers = { origin: evil, 'access-control-request-method': 'POST' };
    const preflight = await app.inject({ method: 'OPTIONS', url: '/v1/images', headers });
    expect(preflight.headers['access-control-allow-methods']).toBe('GET, HEAD');
  });
});
