import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { FetcherOptions } from '../../src/fetcher/fetch-picture.ts';
import { toConnectionError, toHeadError } from '../../src/fetcher/source-errors.ts';
import { allClosed, download, refusal, testFetcher } from './support/fetching.ts';
import { serveAnswer, serveRaw } from './support/origin.ts';
import { mebibyte } from './support/pages.ts';

const picture = Buffer.from('\xff\xd8\xff a picture, as far as a server knows', 'latin1');
const length = `Content-Length: ${picture.length}`;

/** Returns the body or the error of a response with these header lines. */
async function fetched(
  lines: readonly string[],
  body: string | Buffer,
  options: Partial<FetcherOptions> = {},
) {
  return answered([`${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`, body], options);
}

async function answered(pieces: readonly (string | Buffer)[], options: Partial<FetcherOptions> = {}) {
  const server = await serveAnswer(pieces);
  const url = `http://127.0.0.1:${server.port}/a.jpg`;
  try {
    return (await download(testFetcher(options), url)).bytes;
  } catch (error) {
    return error as { code: string; message: string };
  } finally {
    await allClosed(server);
    await server.close();
  }
}

const malformed = (what: string) =>
  expect.objectContaining({
    code: 'source_refused',
    message: `The server sent a malformed HTTP response: ${what}.`,
  });

describe('odd but harmless heads', () => {
  const chunked = Buffer.concat([
    Buffer.from(`${picture.length.toString(16)} ;name=value\r\n`),
    picture,
    Buffer.from('\r\n0\r\nTrailer: x\r\n\r\n'),
  ]);

  test.each([
    ['17 kB in one header', [length, `Content-Security-Policy: ${'x'.repeat(17_000)}`]],
    [
      '200 kB in many headers',
      [length, ...Array.from({ length: 200 }, (_, n) => `X-${n}: ${'x'.repeat(1_000)}`)],
    ],
    ['2,500 headers', [...Array.from({ length: 2_500 }, (_, n) => `X-${n}: x`), length]],
    ['no length', []],
    ['a continued line', [length, 'X-Long: one', '\ttwo', '  three']],
    ['control characters in a value', [length, 'X-Odd: \x01\x7f\x00']],
    ['bytes beyond ASCII', [length, 'X-Odd: \u00e4\u00ff']],
    ['an unknown Transfer-Encoding', [length, 'Transfer-Encoding: identity']],
  ])('%s', async (_name, lines) => {
    expect(await fetched(lines, picture)).toEqual(picture);
  });

  test('chunks together with a length, and chunk extensions', async () => {
    expect(await fetched([length, 'Transfer-Encoding: chunked'], chunked)).toEqual(picture);
    expect(await fetched(['Content-Length: 3', 'TRANSFER-ENCODING:Chunked'], chunked)).toEqual(picture);
  });

  test('LF line ends, a status without a phrase, interim responses, old versions', async () => {
    for (const head of [
      `HTTP/1.1 200\n${length}\n\n`,
      `HTTP/1.0 200 OK\r\n${length}\n\r\n`,
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${length}\r\n\r\n`,
    ])
      expect([head, await answered([head, picture])]).toEqual([head, picture]);
  });

  test('ignores bytes after the declared length', async () => {
    expect(await fetched([length], Buffer.concat([picture, Buffer.from('HTTP/1.1 404')]))).toEqual(picture);
  });
});

describe('malformed responses are rejected with the right reason', () => {
  test.each([
    ['headers beyond 300 KiB', [`X: ${'x'.repeat(310_000)}`], 'its headers exceed 300 KiB'],
    ['two lengths', [length, length], 'it has more than one Content-Length header'],
    ['a length that is no number', ['Content-Length: unknown'], 'its Content-Length header is not a number'],
    ['a negative length', ['Content-Length: -1'], 'its Content-Length header is not a number'],
    [
      'a line without a colon',
      [length, 'this is no header'],
      'a header line has no colon or contains a forbidden character',
    ],
    ['no chunks', ['Transfer-Encoding: chunked'], 'a chunk of its body has an invalid size'],
  ])('%s', async (_name, lines, what) => {
    expect(await fetched(lines, picture)).toEqual(malformed(what));
  });

  test('an endless chunk extension', async () => {
    expect(await fetched(['Transfer-Encoding: chunked'], `5;${'x'.repeat(20_000)}`)).toEqual(
      malformed('a chunk of its body has an invalid size'),
    );
  });

  test('a status line without a status', async () => {
    expect(await answered(['HTTP/1.1 OK\r\n\r\n'])).toEqual(malformed('its status line is invalid'));
  });
});

describe('content codings', () => {
  test.each([
    'utf-8',
    'UTF-8',
    'base64',
    'aws-chunked',
    'binary',
    'none',
    'identity',
    'image/jpeg',
    'gzip',
    'br',
    'deflate',
    'zstd',
    ', ,',
    'aws-chunked, gzip',
    Array.from({ length: 1_000 }, () => 'gzip').join(', '),
  ])('accepts plain bytes declared as %s', async (coding) => {
    expect(await fetched([length, `Content-Encoding: ${coding}`], picture)).toEqual(picture);
  });

  test.each([
    ['gzip', gzipSync(picture)],
    ['x-gzip', gzipSync(picture)],
    ['aws-chunked,gzip', gzipSync(picture)],
    ['utf-8', gzipSync(picture)],
    ['deflate', deflateSync(picture)],
    ['deflate', deflateRawSync(picture)],
    ['br', brotliCompressSync(picture)],
    ['zstd', zstdCompressSync(picture)],
  ])('decompresses an unrequested coding: %s', async (coding, body) => {
    expect(await fetched([`Content-Encoding: ${coding}`], body)).toEqual(picture);
  });

  test('leaves a compressed file unchanged', async () => {
    const body = gzipSync(picture);
    expect(await fetched([], body)).toEqual(body);
    expect(await fetched(['Content-Encoding: identity'], body)).toEqual(body);
  });

  test.each([
    ['an empty body', Buffer.alloc(0), Buffer.alloc(0)],
    ['a short one', Buffer.from('x'), Buffer.from('x')],
  ])('%s', async (_name, body, expected) => {
    expect(await fetched(['Content-Encoding: utf-8'], body)).toEqual(expected);
  });

  test.each([
    ['gzip', gzipSync(Buffer.alloc(16 * mebibyte))],
    ['deflate', deflateSync(Buffer.alloc(16 * mebibyte))],
    ['br', brotliCompressSync(Buffer.alloc(16 * mebibyte))],
    ['zstd', zstdCompressSync(Buffer.alloc(16 * mebibyte))],
  ])('stops decompression at the limit: %s', async (coding, body) => {
    expect(body.length).toBeLessThan(mebibyte);
    expect(await fetched([`Content-Encoding: ${coding}`], body, { maxBytes: mebibyte })).toMatchObject({
      code: 'body_too_large',
    });
  });

  test('limits the received bytes if they decompress to nothing', async () => {
    const nothing = gzipSync(Buffer.alloc(0));
    const body = Buffer.concat(Array.from({ length: 2_000 }, () => nothing));
    expect(await fetched(['Content-Encoding: gzip'], body, { maxBytes: 30_000 })).toMatchObject({
      code: 'body_too_large',
    });
  });

  test.each([
    ['gzip', gzipSync(picture).subarray(0, -12)],
    ['br', Buffer.from('no brotli at all, but long enough to be looked at')],
  ])('rejects data that cannot be decompressed: %s', async (coding, body) => {
    expect(await fetched([`Content-Encoding: ${coding}`], body)).toMatchObject({
      code: 'source_refused',
      message: `The server sent the file compressed (${coding}), but the compressed data is corrupt or truncated.`,
    });
  });

  test('reports a broken connection in a compressed file as such', async () => {
    const body = gzipSync(picture);
    const lines = ['Content-Encoding: gzip', `Content-Length: ${body.length + 5}`];
    expect(await fetched(lines, body)).toMatchObject({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${body.length} of ${body.length + 5} bytes were received.`,
    });
  });
});

describe('unresponsive public servers', () => {
  const where = { connectMs: 1_000, headersMs: 2_000, isExempt: false };

  async function errorOf(socket: ReturnType<typeof connect>): Promise<unknown> {
    const [error] = (await once(socket, 'error')) as unknown[];
    return error;
  }

  test('a closed port', async () => {
    const closed = await serveRaw();
    await closed.close();
    const error = toConnectionError(await errorOf(connect(closed.port, '127.0.0.1')), where);
    expect([error.code, error.message]).toEqual(['source_unavailable', 'The server refused the connection.']);
  });

  test('a port without TLS', async () => {
    const plain = await serveRaw('SSH-2.0-OpenSSH_9.9\r\n');
    const error = toConnectionError(await errorOf(connectTls(plain.port, '127.0.0.1')), where);
    expect(error.message).toBe('The server does not speak TLS on this port.');
    await plain.close();
  });

  test.each([
    ['HPE_INVALID_CONSTANT', "The server's response is not HTTP."],
    ['ECONNRESET', 'The server closed the connection before it responded.'],
  ])('%s', (code, message) => {
    const error = Object.assign(new Error(), { code });
    expect(toHeadError(error, where)).toMatchObject({ code: 'source_unavailable', message });
    expect(toHeadError(error, { ...where, isExempt: true }).message).toMatch(
      /^The server sent no HTTP response/,
    );
  });
});

test('recognises another protocol by its first bytes', async () => {
  const server = await serveRaw('220 ');
  const began = performance.now();
  const { message } = await refusal(
    testFetcher({ headersMs: 60_000, totalMs: 60_000 }),
    `http://127.0.0.1:${server.port}/`,
  );
  expect(message).toMatch(/^The server sent no HTTP response/);
  expect(performance.now() - began).toBeLessThan(30_000);
  await server.close();
});
