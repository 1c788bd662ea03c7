import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { boundary, connectRaw, formEnd, formHead, partHead } from '../support/process/socket.ts';

const server = useServer({ BODY_IDLE_SECONDS: '1' });

/** Returns a random number generator with a seed, so that failures can be reproduced. */
function makeSeededRandom(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const methods = ['GET', 'POST', 'DELETE', 'HEAD', 'PUT', 'OPTIONS', 'BREW', ''];
const paths = [
  '/v1/images',
  '/v1/images/1',
  '/upload/',
  '/retrieve/rendition/1/thumb',
  '/v1/images/1/original',
  '/healthz',
  '//',
  '/%',
  '*',
];

/** Generates a nearly valid request or random bytes, and then overwrites a few bytes. */
function makeRequest(random: (limit: number) => number): Buffer {
  const pick = <T>(choices: readonly T[]) => choices[random(choices.length)] as T;
  const makeNoise = () =>
    Buffer.from(Array.from({ length: random(60) }, () => random(256))).toString('latin1');
  const garbageRequest = pick([makeNoise, () => `${makeNoise()}\r\n\r\n`])();
  const formRequest = `${formHead(pick(paths), random(400))}${partHead}${makeNoise()}${formEnd}`;
  const getRequest = `${pick(methods)} ${pick(paths)}?${pick(['limit=', 'v=', 'mode=', '%'])}${encodeURIComponent(makeNoise().slice(0, 5))} HTTP/1.1\r\nhost: localhost\r\nrange: bytes=${makeNoise().replaceAll(/[^\d,-]/g, '')}-\r\nif-none-match: ${makeNoise().replaceAll(/[^\x21-\x7e]/g, '')}\r\n\r\n`;
  const requestWithBadBody = `POST /v1/images HTTP/1.1\r\nhost: localhost\r\ncontent-type: multipart/form-data; boundary=${pick([boundary, '', '"', makeNoise()])}\r\ntransfer-encoding: chunked\r\n\r\n${pick(['5\r\nhello', 'ffffffff\r\n', '0\r\n', 'zz\r\n'])}\r\n`;
  const bytes = Buffer.from(
    pick([garbageRequest, formRequest, getRequest, getRequest, requestWithBadBody]),
    'latin1',
  );
  for (let changes = random(4); changes > 0 && bytes.length > 0; changes -= 1)
    bytes[random(bytes.length)] = random(256);
  return bytes;
}

test('handles three hundred corrupted requests without a 5xx response', async () => {
  const { url } = server();
  await upload(url, await jpeg('before'));
  const seed = randomBytes(4).readUInt32LE();
  const random = makeSeededRandom(seed);
  const requests = Array.from({ length: 300 }, () => makeRequest(random));
  const responses: string[] = [];
  const remainingRequests = requests.values();
  await Promise.all(
    Array.from({ length: 30 }, async () => {
      for (const bytes of remainingRequests) {
        const connection = await connectRaw(url);
        await connection.write(bytes);
        connection.socket.end();
        await connection.closed();
        responses.push(connection.received());
      }
    }),
  );
  expect(responses).toHaveLength(300);
  const failures = responses.filter((response) => /^HTTP\/1\.1 5/m.test(response));
  expect(failures, `seed ${seed}`).toEqual([]);
  expect(responses.filter((response) => response.startsWith('HTTP/1.1 4')).length).toBeGreaterThan(50);
  expect((await call(`${url}/healthz`)).status).toBe(200);
  expect((await upload(url, await jpeg('after'))).status).toBe(201);
  expect(server().log()).not.toContain('"level":"error"');
});

test('handles unusual but valid URLs without a 5xx response', async () => {
  const { url } = server();
  const targets = [
    '/v1/images/%2e%2e%2f',
    '/v1/images/1/renditions/__proto__',
    '/v1/images/1/renditions/%00',
    '/metrics/tenant/%00',
    '/metrics/tenant/%ff',
    '/v1/images?tenant=%00',
    `/v1/images/${'1'.repeat(299)}`,
    '/v1/images/1/renditions/thumb?v[]=1',
    '/retrieve/rendition/1/constructor',
    '/retrieve/rendition/%C3%28/thumb',
    `/metrics/tenant/${'a'.repeat(290)}`,
    '/v1/images?offset=1e6',
    '/v1/images?created_after=0000-01-01T00:00:00Z',
    '/v1/images?created_before=9999-12-31T23:59:59Z',
    '/v1/images?limit=%31',
  ];
  for (const target of targets) {
    const { status } = await call(url + target);
    expect(status, target).toBeLessThan(500);
  }
});
