import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';
import { call, expectProblem, type ImageRecord } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { startServer, useServer } from '../../support/process/server.ts';
import { forEachConcurrently, sendRequest } from '../generated/exchange.ts';
import { createKey, keySettings, sendJson, uploadWithKey, withKey } from '../support/keys.ts';
import { cacheControls, chrome, formatOf, headerOf, presetSettings, waitFor } from './support.ts';

const server = useServer({ ...keySettings, ...presetSettings });
let image: ImageRecord;
let key: string;
let otherKey: string;

const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
  call(server().url + path, { headers, method });

async function sign(fields: object, { id } = image): Promise<string> {
  const { status, body } = await sendJson<{ delivery_url: string }>(
    server().url,
    'POST',
    `/v1/images/${id}/links`,
    { expires_in: 600, ...fields },
    key,
  );
  expect(status).toBe(201);
  return body.delivery_url;
}

beforeAll(async () => {
  const base = server().url;
  key = await createKey(base, { tenant: 'shop', role: 'editor' });
  otherKey = await createKey(base, { tenant: 'rival', role: 'editor' });
  image = (await uploadWithKey(base, key, await jpeg('signed', 500, 400))).body;
});

describe('with signed delivery', () => {
  test('an unsigned address needs a key, whose response is private', async () => {
    const paths = [`/i/${image.uuid}/card.jpg`, image.delivery['card']!.formats['webp']!];
    for (const path of paths) {
      expectProblem(await get(path), 401, 'unauthenticated');
      expectProblem(await get(path, withKey(otherKey)), 404, 'image_not_found');
      const response = await get(path, withKey(key));
      expect(response.status).toBe(200);
      expect(headerOf(response, 'cache-control')).toMatch(/^private, max-age=/);
      expect(headerOf(response, 'vary')).toBe('Authorization, X-Api-Key');
    }
    const negotiated = await get(`/i/${image.uuid}/card`, withKey(key));
    expect(headerOf(negotiated, 'vary')).toBe('Accept, Authorization, X-Api-Key');
  });

  test('a signed address works without a key, for no longer than it says', async () => {
    for (const [fields, suffix, format] of [
      [{ preset: 'card', format: 'webp' }, 'card.webp', 'webp'],
      [{ preset: 'card', format: 'jpeg' }, 'card.jpg', 'jpeg'],
      [{ preset: 'square', format: 'webp', density: 2 }, 'square@2x.webp', 'webp'],
      [{ preset: 'card' }, 'card', 'jpeg'],
    ] as const) {
      const url = await sign(fields);
      expect(url).toMatch(
        new RegExp(`^/i/s/[0-9a-f]{8}\\.\\d+\\.[A-Za-z0-9_-]{43}/${image.uuid}/${RegExp.escape(suffix)}$`),
      );
      for (const method of ['GET', 'HEAD', 'GET']) {
        const response = await get(url, {}, method);
        expect(response.status, url).toBe(200);
        if (method === 'GET') expect(formatOf(response.bytes)).toBe(format);
        expect(headerOf(response, 'cache-control')).toBe('public, max-age=300');
        expect(headerOf(response, 'vary')).toBe('format' in fields ? '' : 'Accept');
        expect(headerOf(response, 'access-control-allow-origin')).toBe('*');
      }
      // A key makes no difference, so that caches need not distinguish callers.
      expect((await get(url, withKey(otherKey))).status).toBe(200);
      expect((await get(url, withKey('nonsense'))).status).toBe(200);
    }
    const brief = await get(await sign({ preset: 'card', format: 'webp', expires_in: 20 }));
    expect(headerOf(brief, 'cache-control')).toMatch(/^public, max-age=(?:1\d|20)$/);
  });

  test('a substitute is kept for a short time', async () => {
    const fresh = (await uploadWithKey(server().url, key, await jpeg('signed and fresh', 500, 400))).body;
    const url = await sign({ preset: 'square' }, fresh);
    const first = await get(url, { accept: chrome });
    expect([first.status, formatOf(first.bytes)]).toEqual([200, 'webp']);
    expect(headerOf(first, 'cache-control')).toBe('public, max-age=10');
    const final = await waitFor(
      () => get(url, { accept: chrome }),
      ({ bytes }) => formatOf(bytes) === 'avif',
    );
    expect(headerOf(final, 'cache-control')).toBe('public, max-age=300');
  });

  test('stops working when it expires, and when the image is deleted', async () => {
    const doomed = (await uploadWithKey(server().url, key, await jpeg('signed and doomed', 300, 200))).body;
    const brief = await sign({ preset: 'card', format: 'jpeg', expires_in: 1 }, doomed);
    const long = await sign({ preset: 'card', format: 'jpeg' }, doomed);
    expect((await get(long)).status).toBe(200);
    await sleep(1_100);
    const expired = await get(brief);
    expect(expectProblem(expired, 403, 'invalid_signature')).toContain('has expired');
    expect(headerOf(expired, 'cache-control')).toMatch(/no-store/);
    await get(`/v1/images/${doomed.id}`, withKey(key), 'DELETE');
    expectProblem(await get(long), 404, 'image_not_found');
  });

  test('works in no other spelling', async () => {
    const url = await sign({ preset: 'card', format: 'webp' });
    const other = await sign({ preset: 'square', format: 'webp', density: 2 });
    const [, , , segment = ''] = url.split('/');
    const [secretId = '', expires = '', signature = ''] = segment.split('.');
    const withSegment = (...parts: string[]) => url.replace(segment, parts.join('.'));
    const foreign = makeSecretRing(['a secret of a different server 0123456789']);
    const text = `1\nGET\n/i/s/${foreign.newestId}.${expires}/${image.uuid}/card.webp`;
    const variants = [
      withSegment(secretId, String(Number(expires) + 1), signature),
      withSegment(secretId, `0${expires}`, signature),
      withSegment(secretId.toUpperCase(), expires, signature),
      withSegment('00000000', expires, signature),
      withSegment(secretId, expires, `${signature}=`),
      withSegment(secretId, expires, signature.slice(1)),
      withSegment(secretId, expires, other.split('/')[3]?.split('.')[2] ?? ''),
      withSegment(foreign.newestId, expires, foreign.seal('link', text).code.toString('base64url')),
      withSegment(secretId, expires, foreign.seal('link', text).code.toString('base64url')),
      url.replace('card.webp', 'card.jpg'),
      url.replace('card.webp', 'card'),
      url.replace('card.webp', 'card@2x.webp'),
      url.replace('card.webp', 'c%61rd.webp'),
      url.replace(image.uuid, image.uuid.toUpperCase()),
      url.replace(image.uuid, String(image.id)),
      `${url}?`,
      `${url}?v=1`,
      `${url}/`,
      url.replace('/i/s/', '/i//s/'),
      url.replace('/i/s/', '/I/s/'),
    ];
    const flips = fc.sample(
      fc.tuple(fc.nat(url.length - 6), fc.constantFrom('0', 'a', 'Z', '_', '-', '.', '%', '/')),
      500,
    );
    for (const [offset, character] of flips)
      variants.push(url.slice(0, offset + 5) + character + url.slice(offset + 6));
    const accepted: string[] = [];
    await forEachConcurrently(
      variants.filter((variant) => variant !== url),
      async (target) => {
        const { status } = await sendRequest(server().url, { method: 'GET', target, headers: {} });
        if (status < 400 || status >= 500) accepted.push(`${status} ${target}`);
      },
    );
    expect(accepted).toEqual([]);
    for (const method of ['POST', 'PUT', 'DELETE'])
      expect([403, 404, 405]).toContain((await get(url, {}, method)).status);
    expect((await get(url)).status).toBe(200);
  });

  test('is created only for what a preset offers', async () => {
    const request = (fields: object) =>
      sendJson(
        server().url,
        'POST',
        `/v1/images/${image.id}/links`,
        { preset: 'tile', expires_in: 60, ...fields },
        key,
      );
    expect(expectProblem(await request({ format: 'avif' }), 400, 'invalid_request')).toMatch(/webp, jpeg/);
    expect(expectProblem(await request({ density: 2 }), 400, 'invalid_request')).toMatch(/it has 1/);
    expectProblem(await request({ preset: 'original', format: 'jpeg' }), 400, 'invalid_request');
    expectProblem(await request({ preset: 'nothing' }), 400, 'unknown_preset');
    const { body } = await request({ preset: 'original' });
    expect(body).not.toHaveProperty('delivery_url');
    expect((await get(String(body['url']))).status).toBe(200);
  });

  test('appears in no log', async () => {
    // No other test signs with this time, so that the log contains no variation of the signature.
    const url = await sign({ preset: 'card', format: 'webp', expires_in: 4_321 });
    await get(url);
    const misspelled = ['/i/', '//'].map((start) => url.replace('/', start)).concat(`${url}/more`, `${url}%`);
    for (const target of misspelled)
      expect((await sendRequest(server().url, { method: 'GET', target, headers: {} })).status).toBeOneOf([
        400, 404,
      ]);
    const signature = url.split('/')[3]!.split('.')[2]!;
    expect(signature).toHaveLength(43);
    expect(server().log()).not.toContain(signature);
  });
});

test('with public delivery, everyone reads at the UUID, whatever the key', async () => {
  const { url } = await startServer({ ...keySettings, ...presetSettings, DELIVERY: 'public' });
  const { body } = await uploadWithKey(url, keySettings.BOOTSTRAP_ADMIN_KEY, await jpeg('public', 300, 200));
  for (const headers of [{}, withKey('nonsense')]) {
    const current = await call(`${url}/i/${body.uuid}/card.webp`, { headers });
    expect([current.status, headerOf(current, 'cache-control')]).toEqual([200, cacheControls.current]);
    const immutable = await call(`${url}${body.delivery['card']!.formats['webp']}`, { headers });
    expect([immutable.status, headerOf(immutable, 'cache-control')]).toEqual([200, cacheControls.immutable]);
    expect(headerOf(current, 'vary')).toBe('');
  }
  expectProblem(await call(`${url}/i/${body.id}/card.webp`), 401, 'unauthenticated');
});

test('links are absolute if the public address of the server is known', async () => {
  const origin = 'https://pictures.example.com';
  const { url } = await startServer({ ...keySettings, ...presetSettings, PUBLIC_URL: origin });
  const { body } = await uploadWithKey(
    url,
    keySettings.BOOTSTRAP_ADMIN_KEY,
    await jpeg('absolute', 300, 200),
  );
  const link = await sendJson<{ delivery_url: string }>(url, 'POST', `/v1/images/${body.id}/links`, {
    preset: 'card',
    format: 'webp',
    expires_in: 60,
  });
  expect(link.body.delivery_url).toMatch(/^https:\/\/pictures\.example\.com\/i\/s\//);
  expect((await call(url + new URL(link.body.delivery_url).pathname)).status).toBe(200);
});
