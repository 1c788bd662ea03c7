import { expect, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';
import { makeBareServer } from './support/bare-server.ts';

const shopOrigin = 'https://shop.example';
const otherOrigin = 'https://evil.example';
const allowOriginHeader = 'access-control-allow-origin';
const makeRequest = (origin: string) => ({ url: '/info', headers: { origin } });

test('sends CORS headers only to configured origins, but Vary to all origins', async () => {
  const app = await makeBareServer({ CORS_ORIGINS: `${shopOrigin},http://localhost:3000` });
  expect((await app.inject(makeRequest(shopOrigin))).headers).toMatchObject({
    [allowOriginHeader]: shopOrigin,
    vary: 'Origin',
  });
  const rejectedResponse = await app.inject(makeRequest(otherOrigin));
  expect(rejectedResponse.headers).toMatchObject({ vary: 'Origin' });
  expect(rejectedResponse.headers).not.toHaveProperty(allowOriginHeader);
  for (const similarOrigin of [
    `${shopOrigin}.evil.example`,
    'http://shop.example',
    'null',
    `${shopOrigin}:444`,
  ])
    expect((await app.inject(makeRequest(similarOrigin))).headers, similarOrigin).not.toHaveProperty(
      allowOriginHeader,
    );
});

test('allows pages from every origin to read responses if CORS_ORIGINS is *', async () => {
  const app = await makeBareServer({ CORS_ORIGINS: '*' });
  expect((await app.inject(makeRequest(otherOrigin))).headers).toMatchObject({ [allowOriginHeader]: '*' });
});

test('responds to preflights from configured origins with the allowed methods', async () => {
  const app = await makeBareServer({ CORS_ORIGINS: shopOrigin });
  const sendPreflight = (origin: string) =>
    app.inject({
      method: 'OPTIONS',
      url: '/v1/images/1',
      headers: {
        origin,
        'access-control-request-method': 'DELETE',
        'access-control-request-headers': 'content-type',
      },
    });
  const allowedPreflight = await sendPreflight(shopOrigin);
  expect(allowedPreflight.statusCode).toBe(204);
  expect(allowedPreflight.headers[allowOriginHeader]).toBe(shopOrigin);
  expect(allowedPreflight.headers['access-control-allow-methods']).toMatch(/DELETE/);
  expect(allowedPreflight.headers['access-control-allow-headers']).toBe('content-type');
  expect((await sendPreflight(otherOrigin)).headers).not.toHaveProperty(allowOriginHeader);
});

test('allows pages from configured origins to read errors', async () => {
  const retrieve = { cached: () => undefined };
  const app = await makeBareServer({ CORS_ORIGINS: shopOrigin }, { services: { retrieve } });
  for (const url of ['/v1/nothing', '/v1/images/abc', '/v1/images/abc/thumbnail', '/v1/images?limit=x']) {
    const response = await app.inject({ url, headers: { origin: shopOrigin } });
    expect(response.statusCode, url).toBeGreaterThanOrEqual(400);
    expect(response.headers[allowOriginHeader], url).toBe(shopOrigin);
  }
});

test('sends the same CORS headers with cached and uncached pictures in /v1 and in the older catalog API', async () => {
  const { url } = await startServer({ CORS_ORIGINS: shopOrigin });
  const { id } = (await upload(url, await jpeg('shared'))).body;
  for (const path of [
    `/v1/images/${id}/renditions/card`,
    `/v1/images/${id}/thumbnail`,
    `/retrieve/rendition/${id}/card`,
    `/v1/images/${id}/original`,
  ]) {
    for (const source of ['storage', 'cache']) {
      const shopResponse = await call(url + path, { headers: { origin: shopOrigin } });
      expect(shopResponse.headers.get(allowOriginHeader), `${path} ${source}`).toBe(shopOrigin);
      expect(shopResponse.headers.get('access-control-expose-headers')).toContain('etag');
      for (const headers of [{}, { origin: otherOrigin }]) {
        const otherResponse = await call(url + path, { headers });
        expect(otherResponse.headers.get(allowOriginHeader)).toBeNull();
        expect(otherResponse.headers.get('vary')).toBe('Origin');
      }
    }
  }
});
