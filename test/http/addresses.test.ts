import { expect, test } from 'vitest';
import { bareServer } from './support/bare-server.ts';

test('a method that an address does not take is 405, and the answer says what it takes', async () => {
  const app = await bareServer();
  for (const [method, url, allow] of [
    ['PATCH', '/v1/images', 'GET, HEAD, POST'],
    ['PUT', '/v1/images/1', 'DELETE, GET, HEAD'],
    ['GET', '/v1/purge/', 'POST'],
    ['POST', '/v1/images/1/references/a%2Fb', 'DELETE, PUT'],
    ['DELETE', '/', 'GET, HEAD'],
  ] as const) {
    const answer = await app.inject({ method, url, headers: { 'content-type': 'text/weird' }, body: 'x' });
    expect([answer.statusCode, answer.headers['allow']], url).toEqual([405, allow]);
    expect(answer.json()).toMatchObject({ code: 'method_not_allowed', status: 405 });
    expect(answer.json().detail).toContain(method);
  }
});

test('an address that is not there is 404 for every method, with any body', async () => {
  const app = await bareServer();
  for (const url of [
    '/v1',
    '/v1/nothing',
    '/v1/images/1/2/3',
    '/docs/static/nothing.js',
    '/V1/images',
    '/v1images',
  ]) {
    for (const method of ['GET', 'POST', 'DELETE', 'PATCH'] as const) {
      const answer = await app.inject({ method, url, headers: { 'content-type': 'text/weird' }, body: 'x' });
      if (url.startsWith('/docs') && method !== 'GET') expect(answer.statusCode).toBe(405);
      else expect(answer.json(), `${method} ${url}`).toMatchObject({ code: 'route_not_found', status: 404 });
    }
  }
});

test('the front door leads to all other doors', async () => {
  const app = await bareServer({}, { services: { checkHealth: { ready: () => Promise.resolve([]) } } });
  const door: Record<string, string> = (await app.inject('/')).json();
  for (const name of ['docs', 'reference', 'openapi', 'health'])
    expect((await app.inject(door[name] ?? '')).statusCode, name).toBe(200);
});
