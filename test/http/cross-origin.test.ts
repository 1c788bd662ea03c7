import { expect, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';
import { bareServer } from './support/bare-server.ts';

const shop = 'https://shop.example';
const stranger = 'https://evil.example';
const allowed = 'access-control-allow-origin';
const info = (origin: string) => ({ url: '/info', headers: { origin } });

test('sends CORS headers to configured origins only, with Vary', async () => {
  const app = await bareServer({ CORS_ORIGINS: `${shop},http://localhost:3000` });
  expect((await app.inject(info(shop))).headers).toMatchObject({ [allowed]: shop, vary: 'Origin' });
  const strange = await app.inject(info(stranger));
  expect(strange.headers).toMatchObject({ vary: 'Origin' });
  expect(strange.headers).not.toHaveProperty(allowed);
  for (const near of [`${shop}.evil.example`, 'http://shop.example', 'null', `${shop}:444`])
    expect((await app.inject(info(near))).headers, near).not.toHaveProperty(allowed);
});

test('allows every origin to read with a wildcard', async () => {
  const app = await bareServer({ CORS_ORIGINS: '*' });
  expect((await app.inject(info(stranger))).headers).toMatchObject({ [allowed]: '*' });
});

test('responds to preflights of configured origins with the allowed methods', async () => {
  const app = await bareServer({ CORS_ORIGINS: shop });
  const ask = (origin: string) =>
    app.inject({
      method: 'OPTIONS',
      url: '/v1/images/1',
      headers: {
        origin,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'content-type',
      },
    });
  const yes = await ask(shop);
  expect(yes.statusCode).toBe(204);
  expect(yes.headers[allowed]).toBe(shop);
  expect(yes.headers['access-control-allow-methods']).toMatch(/DELETE/);
  expect(yes.headers['access-control-allow-headers']).toBe('content-type');
  expect((await ask(stranger)).headers).not.toHaveProperty(allowed);
});

test('lets pages of configured origins read errors', async () => {
  const retrieve = { cached: () => undefined };
  const app = await bareServer({ CORS_ORIGINS: shop }, { services: { retrieve } });
  for (const url of ['/v1/nothing', '/v1/images/abc', '/v1/images/abc/thumbnail', '/v1/images?limit=x']) {
    const response = await app.inject({ url, headers: { origin: shop } });
    expect(response.statusCode, url).toBeGreaterThanOrEqual(400);
    expect(response.headers[allowed], url).toBe(shop);
  }
});

test('sends the same CORS headers with cached and uncached pictures on both surfaces', async () => {
  const { url } = await startServer({ CORS_ORIGINS: shop });
  const { id } = (await upload(url, await jpeg('shared'))).body;
  for (const address of [
    `/v1/images/${id}/renditions/card`,
    `/v1/images/${id}/thumbnail`,
    `/retrieve/rendition/${id}/card`,
    `/v1/images/${id}/original`,
  ]) {
    for (const tries of ['first', 'from memory']) {
      const mine = await call(url + address, { headers: { origin: shop } });
      expect(mine.headers.get(allowed), `${address} ${tries}`).toBe(shop);
      expect(mine.headers.get('access-control-expose-headers')).toContain('etag');
      for (const headers of [{}, { origin: stranger }]) {
        const other = await call(url + address, { headers });
        expect(other.headers.get(allowed)).toBeNull();
        expect(other.headers.get('vary')).toBe('Origin');
      }
    }
  }
});
