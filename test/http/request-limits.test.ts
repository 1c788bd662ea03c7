import { readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { useServer } from '../support/process/server.ts';
import { chunk, connectRaw } from '../support/process/socket.ts';

const server = useServer({ ENABLE_WORKER: 'false' });

/** Sends a request with these header lines and returns the response. */
async function send(...lines: string[]): Promise<string> {
  const connection = await connectRaw(server().url);
  await connection.write(['GET /v1/images HTTP/1.1', ...lines, '', ''].join('\r\n'));
  const response = await connection.until(/\r\n\r\n/);
  connection.socket.destroy();
  return response;
}

const makeHeaders = (count: number) => Array.from({ length: count }, (_, i) => `x-${i}: 1`);

/** Returns the row for `name` in the table of docs/limits.md. */
async function findDocumentedLimit(name: string): Promise<string> {
  const page = await readFile(new URL('../../docs/limits.md', import.meta.url), 'utf8');
  return page.split('\n').find((line) => line.startsWith(`| ${name} |`)) ?? '';
}

test('accepts 100 headers and rejects 101 with 431, as documented', async () => {
  expect(await findDocumentedLimit('Number of headers')).toMatch(/\| 100, .*431 `headers_too_large`/);
  expect(await send('host: localhost', ...makeHeaders(99))).toMatch(/^HTTP\/1\.1 200 /);
  const rejection = await send('host: localhost', ...makeHeaders(100));
  expect(rejection).toMatch(
    /^HTTP\/1\.1 431 .*The request has more than 100 headers, or its headers exceed 16384 bytes/s,
  );
});

test('rejects two Host headers with 400, as documented', async () => {
  expect(await findDocumentedLimit('`Host` headers')).toMatch(/\| 1 .*400 `invalid_request`/);
  for (const hosts of [
    ['Host: a', 'Host: b'],
    ['host: a', 'HOST: a'],
  ])
    expect(await send(...hosts)).toMatch(/^HTTP\/1\.1 400 .*more than one Host header/s);
  expect(await send('accept: */*')).toMatch(/^HTTP\/1\.1 400 /);
});

test('limits the URL length only by the total header size', async () => {
  const connection = await connectRaw(server().url);
  await connection.write(`GET /v1/images?${'x'.repeat(1_000_000)} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  expect(await connection.until(/headers_too_large/)).toMatch(/^HTTP\/1\.1 431 /);
  connection.socket.destroy();
});

test.each(['/v1/images', '/healthz', '/'])(
  'closes the connection if a request to %s has an endless body',
  async (path) => {
    const connection = await connectRaw(server().url);
    await connection.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n`);
    await connection.until(/^HTTP\/1\.1 200 /);
    const trickle = setInterval(() => void connection.write(chunk('x')), 20);
    try {
      await connection.closed();
    } finally {
      clearInterval(trickle);
    }
  },
);

test('accepts a new request on a connection after a small body that was not read', async () => {
  const connection = await connectRaw(server().url);
  for (const responseCount of [1, 2]) {
    await connection.write('GET /v1/images HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\nabc');
    await connection.until(new RegExp(`(?:HTTP/1\\.1 200 .*){${responseCount}}`, 's'));
  }
  connection.socket.destroy();
});
