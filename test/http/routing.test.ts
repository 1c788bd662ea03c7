import { expect, test } from 'vitest';
import { makeBareServer } from './support/bare-server.ts';

test('returns 405 for an unsupported method and lists the allowed methods', async () => {
  const app = await makeBareServer();
  for (const [method, url, allow] of [
    ['PATCH', '/v1/images', 'GET, HEAD, POST'],
    ['PUT', '/v1/images/1', 'DELETE, GET, HEAD'],
    ['GET', '/v1/purge/', 'POST'],
    ['POST', '/v1/images/1/references/a%2Fb', 'DELETE, PUT'],
    ['DELETE', '/', 'GET, HEAD'],
  ] as const) {
    const response = await app.inject({ method, url, headers: { 'content-type': 'text/weird' }, body: 'x' });
    expect([response.statusCode, response.headers['allow']], url).toEqual([405, allow]);
    expect(response.json()).toMatchObject({ code: 'method_not_allowed', status: 405 });
    expect(response.json().detail).toContain(method);
  }
});

test('returns 404 for an unknown path, regardless of the method and body', async () => {
  const app = await makeBareServer();
  for (const url of [
    '/v1',
    '/v1/nothing',
    '/v1/images/1/2/3',
    '/docs/static/nothing.js',
    '/V1/images',
    '/v1images',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH'] as const) {
      const response = await app.inject({
        method,
        url,
        headers: { 'content-type': 'text/weird' },
        body: 'x',
      });
      if (url.startsWith('/docs') && method !== 'GET') expect(response.statusCode).toBe(405);
      else
        expect(response.json(), `${method} ${url}`).toMatchObject({ code: 'route_not_found', status: 404 });
    }
  }
});

test('lists the entry points at /', async () => {
  const app = await makeBareServer({}, { services: { checkHealth: { ready: () => Promise.resolve([]) } } });
  const index: Record<string, string> = (await app.inject('/')).json();
  for (const name of ['docs', 'reference', 'openapi', 'health'])
    expect((await app.inject(index[name] ?? '')).statusCode, name).toBe(200);
});
