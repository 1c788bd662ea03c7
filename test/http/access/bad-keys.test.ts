import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { challenges } from '../../../src/http/guard/api-key-header.ts';
import { generateApiKey } from '../../../src/services/access/api-key-format.ts';
import { call, expectProblem } from '../../support/process/client.ts';
import { forgeKey, splitKey } from '../../support/process/forged-key.ts';
import { useServer } from '../../support/process/server.ts';
import { connectRaw } from '../../support/process/socket.ts';
import { isThorough } from '../../support/thoroughness.ts';
import { forEachConcurrently, sendRequest } from '../generated/exchange.ts';

/** Attacks on API keys: whatever is not exactly a key that works is rejected, and never causes a server error. */

const operatorKey = 'operator-key-of-the-bad-keys-test-0123456789';
const seed = Number(process.env['KEYS_SEED'] ?? 20_261_127);
const badKeyCount = isThorough ? 10_000 : 1_000;

const server = useServer({
  AUTH: 'keys',
  SECRET_KEY: randomBytes(24).toString('hex'),
  BOOTSTRAP_ADMIN_KEY: operatorKey,
});

interface Key {
  readonly id: string;
  readonly key: string;
}

let valid: Key;
let dead: string[];

async function createKey(fields: object = {}): Promise<Key> {
  const response = await call<Key>(`${server().url}/v1/keys`, {
    method: 'POST',
    headers: { authorization: `Bearer ${operatorKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'robot', role: 'reader', ...fields }),
  });
  expect(response.status).toBe(201);
  return response.body;
}

async function createDeadKeys(): Promise<string[]> {
  const revoked = await Promise.all(Array.from({ length: 5 }, () => createKey()));
  const headers = { authorization: `Bearer ${operatorKey}` };
  for (const { id } of revoked) await call(`${server().url}/v1/keys/${id}`, { method: 'DELETE', headers });
  const expired = await Promise.all(Array.from({ length: 5 }, () => createKey({ expires_in: 1 })));
  const rotated = await createKey();
  await call(`${server().url}/v1/keys/${rotated.id}/rotate`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ overlap: 0 }),
  });
  await sleep(1_100);
  return [...revoked, ...expired, rotated].map(({ key }) => key);
}

beforeAll(async () => {
  valid = await createKey();
  dead = await createDeadKeys();
});

const sendKey = (headers: Record<string, string>, target = '/v1/images') =>
  sendRequest(server().url, { method: 'GET', target, headers });

async function expectValidKeyToWork(): Promise<void> {
  expect((await sendKey({ authorization: `Bearer ${valid.key}` })).status).toBe(200);
  expect((await sendKey({ 'x-api-key': valid.key })).status).toBe(200);
}

const base62 = fc.constantFrom(
  ...Array.from('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'),
);
const secret = fc.string({ unit: base62, minLength: 43, maxLength: 43 });
const hexId = fc.string({
  unit: fc.constantFrom(...Array.from('0123456789abcdef')),
  minLength: 16,
  maxLength: 16,
});
/** A header can contain any byte, but a client can send other characters only as bytes. */
const toHeader = (text: string): string => Buffer.from(text).toString('latin1');

/** Generators of keys that do not work, by kind. They see the keys of the server, so they are called once it runs. */
function makeKeyGenerators(): Readonly<Record<string, fc.Arbitrary<string>>> {
  const { id, secret: validSecret } = splitKey(valid.key);
  const position = fc.nat(valid.key.length - 1);
  const change = (edit: (key: string, index: number, character: string) => string) =>
    fc.tuple(position, base62).map(([index, character]) => edit(valid.key, index, character));
  return {
    random: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 200 }),
    randomBytes: fc.string({
      unit: fc.integer({ min: 0x80, max: 0xff }).map((code) => String.fromCharCode(code)),
      minLength: 1,
      maxLength: 60,
    }),
    unicode: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 60 }).map(toHeader),
    unknownId: fc.tuple(hexId, secret).map(([unknownId, text]) => forgeKey(unknownId, text)),
    wrongSecret: secret.map((text) => forgeKey(id, text)),
    nearlyRightSecret: fc
      .tuple(fc.nat(42), base62)
      .map(([index, character]) =>
        forgeKey(id, validSecret.slice(0, index) + character + validSecret.slice(index + 1)),
      ),
    secretOfOtherId: hexId.map((otherId) => forgeKey(otherId, validSecret)),
    swappedSecrets: fc.constantFrom(...dead).map((key) => forgeKey(id, splitKey(key).secret)),
    wrongChecksum: change((key, index, character) => key.slice(0, index) + character + key.slice(index + 1)),
    truncated: position.map((length) => valid.key.slice(0, length)),
    missingStart: position.map((index) => valid.key.slice(index + 1)),
    inserted: change((key, index, character) => key.slice(0, index) + character + key.slice(index)),
    extended: fc.string({ unit: base62, minLength: 1, maxLength: 300 }).map((tail) => valid.key + tail),
    otherCase: fc.constantFrom(
      valid.key.toUpperCase(),
      valid.key.toLowerCase(),
      valid.key.replace('vitrine', 'Vitrine'),
    ),
    repeated: fc.constantFrom(
      `${valid.key}${valid.key}`,
      `${valid.key},${valid.key}`,
      `${valid.key} ${valid.key}`,
    ),
    encoded: fc.constantFrom(
      encodeURIComponent(valid.key).replaceAll('_', '%5F'),
      Buffer.from(valid.key).toString('base64'),
      `"${valid.key}"`,
      `<${valid.key}>`,
      `'${valid.key}'`,
    ),
    fullWidth: fc.constant(
      toHeader(
        valid.key.replaceAll(/[a-z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 0xfee0)),
      ),
    ),
    operator: change(
      (_key, index, character) =>
        operatorKey.slice(0, index % operatorKey.length) +
        character +
        operatorKey.slice((index % operatorKey.length) + 1),
    ),
    revokedOrExpired: fc.constantFrom(...dead),
    injection: fc.constantFrom(
      "' OR 1=1 --",
      '${jndi:ldap://x}',
      '__proto__',
      'null',
      'undefined',
      '*',
      '%00',
      '../../etc/passwd',
      '[object Object]',
    ),
  };
}

/** Ways to send a key. */
const placements: Readonly<Record<string, (key: string) => Record<string, string>>> = {
  bearer: (key) => ({ authorization: `Bearer ${key}` }),
  'lower-case bearer': (key) => ({ authorization: `bearer   ${key}` }),
  'X-Api-Key': (key) => ({ 'x-api-key': key }),
  both: (key) => ({ authorization: `Bearer ${key}`, 'x-api-key': key }),
  'bearer before a valid key': (key) => ({
    authorization: `Bearer ${key.replaceAll(/\s/g, '_') || '_'}`,
    'x-api-key': valid.key,
  }),
};

/** Whether Node can send the value of a header. */
const isSendable = (value: string): boolean => /^[\t\u0020-\u007e\u0080-\u00ff]*$/.test(value);

describe('an API key', () => {
  test(`is rejected in ${badKeyCount} forms that are not exactly a key that works`, async () => {
    const generators = makeKeyGenerators();
    const source = fc.tuple(
      fc.oneof(...Object.entries(generators).map(([kind, keys]) => keys.map((key) => [kind, key] as const))),
      fc.constantFrom(...Object.entries(placements)),
    );
    const working = new Set([valid.key, operatorKey]);
    const attempts = fc
      .sample(fc.noBias(source), { numRuns: 2 * badKeyCount, seed })
      .map(([[kind, key], [placement, place]]) => ({ kind, key, placement, headers: place(key) }))
      .filter(({ key, headers }) => !working.has(key.trim()) && Object.values(headers).every(isSendable))
      .slice(0, badKeyCount);
    expect(attempts).toHaveLength(badKeyCount);
    for (const kind of Object.keys(generators))
      expect(
        attempts.some((attempt) => attempt.kind === kind),
        kind,
      ).toBe(true);
    await expectValidKeyToWork();
    const failures: string[] = [];
    await forEachConcurrently(attempts, async ({ kind, placement, headers }) => {
      const { status, headers: received, bytes } = await sendKey(headers);
      const isRejected = status === 401 && received.get('www-authenticate')?.startsWith('Bearer') === true;
      if (!isRejected)
        failures.push(
          `${kind}, ${placement}: ${status} ${JSON.stringify(headers)} ${bytes.toString('utf8', 0, 200)}`,
        );
    });
    expect(failures).toEqual([]);
    await expectValidKeyToWork();
  });

  test('is accepted nowhere but in the two headers', async () => {
    const { key } = valid;
    const basic = (text: string) => ({ authorization: `Basic ${Buffer.from(text).toString('base64')}` });
    const attempts: [string, Record<string, string>][] = [
      ...['api_key', 'apikey', 'key', 'access_token', 'x-api-key', 'authorization'].map(
        (name): [string, Record<string, string>] => [`/v1/metrics?${name}=${key}`, {}],
      ),
      ['/v1/images', { cookie: `key=${key}; x-api-key=${key}; authorization=Bearer ${key}` }],
      ['/v1/images', basic(`${key}:`)],
      ['/v1/images', basic(`robot:${key}`)],
      ['/v1/images', { authorization: key }],
      ['/v1/images', { authorization: `Token ${key}` }],
      ['/v1/images', { authorization: `Bearer,${key}` }],
      ['/v1/images', { authorization: `Bearer ${key} ${key}` }],
      ['/v1/images', { 'x-api-key': `Bearer ${key}` }],
      ['/v1/images', { 'x-api_key': key, 'api-key': key, 'x-forwarded-authorization': `Bearer ${key}` }],
    ];
    for (const [target, headers] of attempts)
      expect((await sendKey(headers, target)).status, `${target} ${JSON.stringify(headers)}`).toBe(401);
    expect(server().log()).not.toContain(key);
  });

  test('is not found in malformed, repeated or folded headers', async () => {
    const { key } = valid;
    const heads = [
      `Authorization: Bearer nonsense\r\nAuthorization: Bearer ${key}`,
      `X-Api-Key: nonsense\r\nX-Api-Key: ${key}`,
      `X-Api-Key: ${key}\r\nX-Api-Key: nonsense`,
      `X-Api-Key: ${key}\r\nX-Api-Key: ${key}`,
      `Authorization: Bearer\r\n ${key}`,
      `Authorization: Bearer\r\n\t${key}`,
      `Authorization : Bearer ${key}`,
      `Authorization\t: Bearer ${key}`,
      `Authorization: Bearer ${key}\0`,
      `Authorization: Bearer \0${key}`,
      `Authorization: Bearer ${key.slice(0, 20)}\n${key.slice(20)}`,
      `Authorization: Bearer ${key.slice(0, 20)}\r${key.slice(20)}`,
      `X: y\nAuthorization: Bearer nonsense`,
      `Authorization: Bearer ${'x'.repeat(15_000)}`,
      `Authorization: Bearer ${'x'.repeat(20_000)}`,
      `Authorization: Bearer`,
      `Authorization: `,
      `X-Api-Key: `,
    ];
    for (const head of heads) {
      const connection = await connectRaw(server().url);
      await connection.write(
        `GET /v1/images HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n${head}\r\n\r\n`,
      );
      const received = await connection.until(/^HTTP\/1\.1 \d{3}/);
      connection.socket.destroy();
      expect(
        ['400', '401', '431'],
        `${JSON.stringify(head.slice(0, 120))}: ${received.slice(0, 60)}`,
      ).toContain(received.slice(9, 12));
    }
  });

  test.each(['api_key', 'apikey', 'key', 'token', 'access_token', 'x-api-key'])(
    'is reported as ignored and exposed in the query: %s',
    async (name) => {
      const response = await call(`${server().url}/v1/images?limit=1&${name}=${valid.key}`);
      const detail = expectProblem(response, 401, 'unauthenticated');
      expect(detail).toMatch(
        /keys in the URL are ignored\. The one in this URL may be in logs now: revoke it\./,
      );
      expect(detail).not.toContain(valid.key);
    },
  );

  test.each([
    [{ 'x-api-key': 'Bearer nonsense' }, 'only the key, without "Bearer"', challenges.invalidKey],
    [{}, 'needs an API key. Send a key', challenges.missingKey],
    [{ authorization: 'Basic dXNlcjpwYXNzd29yZA==' }, 'form "Bearer <key>"', challenges.missingKey],
    [{ authorization: 'vitrine_0123456789abcdef_secret' }, 'form "Bearer <key>"', challenges.missingKey],
    [{ authorization: 'Bearer nonsense' }, 'The API key is not valid', challenges.invalidKey],
    [{ 'x-api-key': 'nonsense' }, 'The API key is not valid', challenges.invalidKey],
  ])('is explained with the headers %j', async (headers, reason, challenge) => {
    const response = await call(`${server().url}/v1/images`, { headers });
    const detail = expectProblem(response, 401, 'unauthenticated');
    expect(detail).toContain(reason);
    expect(detail).not.toMatch(/dXNl|0123456789abcdef|nonsense/);
    expect(response.body['title']).toBe('The request is not authenticated');
    expect(response.headers.get('www-authenticate')).toBe(challenge);
  });

  test('is logged with the address of the client and the id of the key', async () => {
    const unknown = generateApiKey();
    for (const key of [unknown.text, 'nonsense'])
      await call(`${server().url}/v1/audit/verification`, { headers: { 'x-api-key': key } });
    const findLines = () =>
      server()
        .log()
        .split('\n')
        .filter((line) => line.includes('"path":"/v1/audit/verification"'))
        .map((line) => JSON.parse(line) as object);
    await expect.poll(findLines).toHaveLength(2);
    expect(findLines()[0]).toMatchObject({ status: 401, address: '127.0.0.1', keyId: unknown.id });
    expect(findLines()[1]).toMatchObject({ status: 401, address: '127.0.0.1' });
    expect(findLines()[1]).not.toHaveProperty('keyId');
    expect(server().log()).not.toContain(unknown.text);
  });

  test('causes no server error and appears in no log', () => {
    const log = server().log();
    expect(log).not.toContain('"level":"error"');
    for (const key of [valid.key, operatorKey, ...dead]) expect(log).not.toContain(key);
  });
});
