import { expect, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';
import { bareServer } from './support/bare-server.ts';

const shop = 'https://shop.example';
const stranger = 'https://evil.example';
const allowed = 'access-control-allow-origin';
const info = (origin: string) => ({ url: '/info', headers: { origin } });

test('only configured origins get the header; caches are told', async () => {
  const app = await bareServer({ CORS_ORIGINS: `${shop},http://localhost:3000` });
  expect((await app.inject(info(shop))).headers).toMatchObject({ [allowed]: shop, vary: 'Origin' });
  const strange = await app.inject(info(stranger));
  expect(strange.headers).toMatchObject({ vary: 'Origin' });
  expect(strange.headers).not.toHaveProperty(allowed);
  for (const near of [`${shop}.evil.example`, 'http://shop.example', 'null', `${shop}:444`])
    expect((await app.inject(info(near))).headers, near).not.toHaveProperty(allowed);
});

test('a star lets everyone in', async () => {
  const app = await bareServer({ CORS_ORIGINS: '*' });
  expect((await app.inject(info(stranger))).headers).toMatchObject({ [allowed]: '*' });
});

test('a preflight is answered for configured origins, with what they may send', async () => {
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

test('errors can be read by pages of configured origins too', async () => {
  const retrieve = { cached: () => undefined };
  const app = await bareServer({ CORS_ORIGINS: shop }, { services: { retrieve } });
  for (const url of ['/v1/nothing', '/v1/images/abc', '/v1/images/abc/thumbnail', '/v1/images?limit=x']) {
    const answer = await app.inject({ url, headers: { origin: shop } });
    expect(answer.statusCode, url).toBeGreaterThanOrEqual(400);
    expect(answer.headers[allowed], url).toBe(shop);
  }
});

test('pictures carry the same headers, from memory or not, on both surfaces', async () => {
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
