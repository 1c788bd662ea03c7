import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { openAuthentication } from '../../src/services/access/authenticate.ts';
import { makeMemoryCounts } from '../../src/services/limits/memory-counts.ts';
import { makeRequestLimiter } from '../../src/services/limits/request-limiter.ts';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';
import { makeBareServer } from './support/bare-server.ts';

const startOfMinute = 1_000 * 60_000;

/** Creates a server without keys that accepts four requests per address. Its clock stands still. */
async function makeLimitedServer(env: Record<string, string> = {}) {
  const now = () => startOfMinute + 12_300;
  const requestLimiter = makeRequestLimiter({
    counts: makeMemoryCounts(now),
    limits: { key: 0, address: 4, 'invalid-keys': 0 },
    logger: pino({ level: 'silent' }),
    now,
  });
  onTestFinished(() => requestLimiter.stop());
  const links = { verify: () => undefined };
  const app = await makeBareServer(env, { requestLimiter, authenticate: openAuthentication, links });
  /** Sends a request that is rejected as invalid, unless a limit is exceeded. */
  const send = (remoteAddress: string, forwardedFor?: string, url = '/v1/jobs/none') =>
    app.inject({
      url,
      remoteAddress,
      headers: forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor },
    });
  const statusesOf = async (...addresses: (string | [string, string])[]) => {
    const statuses: number[] = [];
    for (const address of addresses)
      statuses.push((await send(...([address].flat() as [string, string?]))).statusCode);
    return statuses;
  };
  return { app, send, statusesOf };
}

describe('requests per address', () => {
  test('are counted before the database is asked about made-up UUIDs', async () => {
    const now = () => startOfMinute;
    const requestLimiter = makeRequestLimiter({
      counts: makeMemoryCounts(now),
      limits: { key: 0, address: 4, 'invalid-keys': 0 },
      logger: pino({ level: 'silent' }),
      now,
    });
    onTestFinished(() => requestLimiter.stop());
    let lookUps = 0;
    const find = () => {
      lookUps += 1;
      return Promise.resolve(null);
    };
    const verify = () => Promise.reject(new AppError('unauthenticated', 'This request needs an API key.'));
    const app = await makeBareServer(
      {},
      {
        requestLimiter,
        publicDelivery: { cached: () => undefined, find },
        authenticate: { cached: () => undefined, wasValid: () => false, verify },
      },
    );
    const statuses: number[] = [];
    for (const headers of [{}, {}, {}, {}, {}, { 'x-api-key': 'made-up' }]) {
      const url = `/v1/images/${randomUUID()}/renditions/card`;
      statuses.push((await app.inject({ url, remoteAddress: '203.0.113.9', headers })).statusCode);
    }
    expect(statuses).toEqual([401, 401, 401, 401, 429, 429]);
    expect(lookUps).toBe(4);
  });

  test('are announced in headers, and rejected with 429 beyond the limit', async () => {
    const { send } = await makeLimitedServer();
    const responses = [];
    for (let request = 0; request < 5; request += 1) responses.push(await send('203.0.113.9'));
    expect(responses.map(({ statusCode }) => statusCode)).toEqual([400, 400, 400, 400, 429]);
    expect(responses[0]?.headers).toMatchObject({
      'ratelimit-policy': '"address";q=4;w=60',
      ratelimit: '"address";r=3;t=48',
    });
    expect(responses[0]?.headers).not.toHaveProperty('retry-after');
    expect(responses[4]?.headers).toMatchObject({
      'ratelimit-policy': '"address";q=4;w=60',
      ratelimit: '"address";r=0;t=48',
      'retry-after': '48',
      'content-type': 'application/problem+json; charset=utf-8',
      'cache-control': 'no-store',
    });
    expect(responses[4]?.json()).toMatchObject({
      code: 'too_many_requests',
      detail: expect.stringMatching(
        /sent 4 requests.*is the limit \(REQUESTS_PER_ADDRESS\)\. Try again in 48 s/,
      ),
    });
  });

  test('are counted separately for each address, and together for an IPv6 /64 network', async () => {
    const { statusesOf } = await makeLimitedServer();
    expect(await statusesOf('203.0.113.9', '203.0.113.9', '203.0.113.9', '203.0.113.9')).not.toContain(429);
    expect(await statusesOf('203.0.113.10', '::ffff:203.0.113.9')).toEqual([400, 429]);
    const network = ['2001:db8:1:2::1', '2001:db8:1:2::2', '2001:db8:1:2:ffff::3', '2001:db8:1:2:9:9:9:9'];
    expect(await statusesOf(...network)).not.toContain(429);
    expect(await statusesOf('2001:db8:1:2::5', '2001:db8:1:3::1')).toEqual([429, 400]);
  });

  test('are not limited for this machine and for trusted proxies', async () => {
    const { send, statusesOf } = await makeLimitedServer({ TRUSTED_PROXIES: '10.0.0.0/8' });
    const local = Array.from({ length: 10 }, () => '127.0.0.2');
    expect(await statusesOf(...local)).not.toContain(429);
    expect(await statusesOf(...local.map(() => '10.1.2.3'))).not.toContain(429);
    expect((await send('::1')).headers).not.toHaveProperty('ratelimit');
  });

  test('are counted by the address that a trusted proxy forwards', async () => {
    const { statusesOf } = await makeLimitedServer({ TRUSTED_PROXIES: '10.0.0.0/8' });
    const viaProxy = (client: string): [string, string] => ['10.1.2.3', client];
    expect(
      await statusesOf(
        viaProxy('203.0.113.9'),
        // The client invented the first addresses. The proxies have appended the others.
        viaProxy('198.51.100.1, 203.0.113.9'),
        viaProxy('198.51.100.2, 203.0.113.9, 10.9.9.9'),
        // Some proxies append the port.
        viaProxy('203.0.113.9:41234'),
        viaProxy('198.51.100.3, 203.0.113.9'),
        viaProxy('203.0.113.10'),
      ),
    ).toEqual([400, 400, 400, 400, 429, 400]);
  });

  test('are counted by the address of the connection if an untrusted client sends X-Forwarded-For', async () => {
    const { statusesOf } = await makeLimitedServer({ TRUSTED_PROXIES: '10.0.0.0/8' });
    const rotated = Array.from({ length: 6 }, (_, index): [string, string] => [
      '203.0.113.9',
      `198.51.100.${index}`,
    ]);
    expect(await statusesOf(...rotated)).toEqual([400, 400, 400, 400, 429, 429]);
    // Forwarding a trusted address does not help either.
    expect(await statusesOf(['203.0.113.9', '127.0.0.1'], ['203.0.113.9', '10.1.2.3'])).toEqual([429, 429]);
  });

  test('are counted together if a proxy forwards text that is not an address', async () => {
    const { statusesOf } = await makeLimitedServer();
    const texts = ['unknown', 'not an address', '999.1.2.3', '[::', 'a, b'];
    expect(await statusesOf(...texts.map((text): [string, string] => ['127.0.0.1', text]))).toEqual([
      400, 400, 400, 400, 429,
    ]);
  });

  test('do not count for open pages, preflights and missing routes, which keep working', async () => {
    const { app, send, statusesOf } = await makeLimitedServer();
    for (const url of ['/', '/docs', '/api/v1/openapi.json', '/nothing/here']) {
      for (let request = 0; request < 6; request += 1) {
        const response = await send('203.0.113.9', undefined, url);
        expect(response.statusCode).not.toBe(429);
        expect(response.headers).not.toHaveProperty('ratelimit');
      }
    }
    expect(await statusesOf(...Array.from({ length: 4 }, () => '203.0.113.9'))).not.toContain(429);
    expect((await send('203.0.113.9', undefined, '/')).statusCode).toBe(200);
    const headers = { origin: 'http://localhost:3000', 'access-control-request-method': 'GET' };
    const remoteAddress = '203.0.113.9';
    const preflight = await app.inject({ method: 'OPTIONS', url: '/v1/jobs', remoteAddress, headers });
    expect(preflight.statusCode).toBe(204);
  });
});

/** Waits until the minute is young enough that no test request falls into the next one. */
async function awaitYoungMinute(): Promise<void> {
  await expect.poll(() => new Date().getSeconds(), { interval: 200, timeout: 30_000 }).toBeLessThan(40);
}

describe('a server with keys', () => {
  const adminKey = 'admin-key-for-tests-0123456789abcdef';
  const withKey = (key: string, forwardedFor?: string) => ({
    headers: {
      authorization: `Bearer ${key}`,
      ...(forwardedFor !== undefined && { 'x-forwarded-for': forwardedFor }),
    },
  });

  test('limits requests per key, from this machine too, and keeps health and metrics available', async () => {
    const server = await startServer({ AUTH: 'keys', BOOTSTRAP_ADMIN_KEY: adminKey, REQUESTS_PER_KEY: '6' });
    await awaitYoungMinute();
    const send = (path: string) => call(`${server.url}${path}`, withKey(adminKey));
    const statuses: number[] = [];
    for (let request = 0; request < 8; request += 1) statuses.push((await send('/v1/images')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 200, 429, 429]);
    const { headers, body } = await send('/v1/images');
    expect(headers.get('ratelimit-policy')).toBe('"key";q=6;w=60');
    expect(headers.get('ratelimit')).toMatch(/^"key";r=0;t=\d+$/);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
    expect(body['detail']).toMatch(/This API key has sent 6 requests/);
    for (const path of ['/healthz', '/metrics', '/api/v1/health/detailed', '/docs'])
      expect((await send(path)).status, path).toBe(200);
    expect((await call(`${server.url}/v1/images`, withKey('wrong'))).status).toBe(401);
  });

  test('limits invalid keys per address, without affecting keys that it knows', async () => {
    const server = await startServer({
      AUTH: 'keys',
      BOOTSTRAP_ADMIN_KEY: adminKey,
      INVALID_KEYS_PER_ADDRESS: '5',
    });
    await awaitYoungMinute();
    const attacker = '203.0.113.9';
    const send = async (key: string, address = attacker) =>
      (await call(`${server.url}/v1/images`, withKey(key, address))).status;
    const createKey = async (name: string) => {
      const { body } = await call<{ key: string }>(`${server.url}/v1/keys`, {
        method: 'POST',
        headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
        body: JSON.stringify({ name, role: 'reader' }),
      });
      return body.key;
    };
    const [known, unknown] = [await createKey('known'), await createKey('unknown')];
    for (let request = 0; request < 9; request += 1) expect(await send(known)).toBe(200);
    // All guesses arrive before the first one has been checked.
    const guesses = await Promise.all(Array.from({ length: 12 }, (_, index) => send(`guess-${index}`)));
    expect(guesses.filter((status) => status === 401)).toHaveLength(5);
    expect(guesses.filter((status) => status === 429)).toHaveLength(7);
    expect(await send(known)).toBe(200);
    expect(await send(unknown)).toBe(429);
    expect(await send(unknown, '203.0.113.10')).toBe(200);
    expect(await send('guess', '127.0.0.1')).toBe(401);
    // Metrics need no request of the limit per key, but they cannot be used for guessing either.
    expect((await call(`${server.url}/metrics`, withKey('guess', attacker))).status).toBe(429);
    expect(server.log()).not.toContain(known);
  });

  test('counts requests without a key and with a signed link by their address', async () => {
    const server = await startServer({
      AUTH: 'keys',
      BOOTSTRAP_ADMIN_KEY: adminKey,
      REQUESTS_PER_ADDRESS: '5',
    });
    await awaitYoungMinute();
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' };
    const form = new FormData();
    form.set('file', new Blob([new Uint8Array(await jpeg('link'))], { type: 'image/jpeg' }), 'photo.jpg');
    const { body: image } = await call<{ id: number }>(`${server.url}/v1/images`, {
      method: 'POST',
      headers: { authorization: headers.authorization },
      body: form,
    });
    const { body: link } = await call<{ url: string }>(`${server.url}/v1/images/${image.id}/links`, {
      method: 'POST',
      headers,
      body: JSON.stringify({ preset: 'thumb', expires_in: 600 }),
    });
    const address = { headers: { 'x-forwarded-for': '203.0.113.9' } };
    const send = (path: string) => call(new URL(path, server.url).href, address);
    const shown = [await send(link.url), await send(link.url)];
    // The second response comes from the cache, which bypasses Fastify.
    expect(shown.map((response) => response.headers.get('ratelimit'))).toEqual([
      expect.stringMatching(/^"address";r=4;/),
      expect.stringMatching(/^"address";r=3;/),
    ]);
    expect((await send(`${link.url}x`)).status).toBe(403);
    expect((await send('/v1/images')).status).toBe(401);
    expect((await send(link.url)).status).toBe(200);
    expect((await send(link.url)).status).toBe(429);
    expect((await send('/v1/images')).status).toBe(429);
    expect(
      (await call(`${server.url}/v1/images`, { headers: { ...headers, ...address.headers } })).status,
    ).toBe(200);
  });
});

test('a client on this machine is not limited in open mode, whatever it does', async () => {
  const server = await startServer({ REQUESTS_PER_ADDRESS: '2', REQUESTS_PER_KEY: '2' });
  await upload(server.url, await jpeg('local'));
  for (let request = 0; request < 5; request += 1)
    expect((await call(`${server.url}/v1/images`)).status).toBe(200);
});
