import { once } from 'node:events';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import type { FetcherOptions } from '../../src/fetcher/fetch-picture.ts';
import { toConnectionError, toHeadError } from '../../src/fetcher/source-errors.ts';
import { waitUntilAllClosed, download, catchDownloadError, makeTestFetcher } from './support/test-fetcher.ts';
import { serveResponse, serveRaw } from './support/origin.ts';
import { mebibyte } from './support/test-pages.ts';

const picture = Buffer.from('\xff\xd8\xff followed by any bytes', 'latin1');
const contentLength = `Content-Length: ${picture.length}`;

/** Downloads a response with these header lines. Returns its body or the error. */
async function downloadWith(
  lines: readonly string[],
  body: string | Buffer,
  options: Partial<FetcherOptions> = {},
) {
  return downloadRaw([`${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`, body], options);
}

async function downloadRaw(pieces: readonly (string | Buffer)[], options: Partial<FetcherOptions> = {}) {
  const server = await serveResponse(pieces);
  const url = `http://127.0.0.1:${server.port}/a.jpg`;
  try {
    return (await download(makeTestFetcher(options), url)).bytes;
  } catch (error) {
    return error as { code: string; message: string };
  } finally {
    await waitUntilAllClosed(server);
    await server.close();
  }
}

const makeMalformedError = (reason: string) =>
  expect.objectContaining({
    code: 'source_refused',
    message: `The server sent a malformed HTTP response: ${reason}.`,
  });

describe('unusual but harmless responses', () => {
  const chunkedBody = Buffer.concat([
    Buffer.from(`${picture.length.toString(16)} ;name=value\r\n`),
    picture,
    Buffer.from('\r\n0\r\nTrailer: x\r\n\r\n'),
  ]);

  test.each([
    ['17 kB in one header', [contentLength, `Content-Security-Policy: ${'x'.repeat(17_000)}`]],
    [
      '200 kB in many headers',
      [contentLength, ...Array.from({ length: 200 }, (_, n) => `X-${n}: ${'x'.repeat(1_000)}`)],
    ],
    ['2,500 headers', [...Array.from({ length: 2_500 }, (_, n) => `X-${n}: x`), contentLength]],
    ['no length', []],
    ['a continued line', [contentLength, 'X-Long: one', '\ttwo', '  three']],
    ['control characters in a value', [contentLength, 'X-Odd: \x01\x7f\x00']],
    ['non-ASCII bytes', [contentLength, 'X-Odd: \u00e4\u00ff']],
    ['an unknown Transfer-Encoding', [contentLength, 'Transfer-Encoding: identity']],
  ])('are accepted: %s', async (_name, lines) => {
    expect(await downloadWith(lines, picture)).toEqual(picture);
  });

  test('are accepted: chunks with a Content-Length, and chunk extensions', async () => {
    expect(await downloadWith([contentLength, 'Transfer-Encoding: chunked'], chunkedBody)).toEqual(picture);
    expect(await downloadWith(['Content-Length: 3', 'TRANSFER-ENCODING:Chunked'], chunkedBody)).toEqual(
      picture,
    );
  });

  test('are accepted: LF line ends, no reason phrase, interim responses, HTTP/1.0', async () => {
    for (const head of [
      `HTTP/1.1 200\n${contentLength}\n\n`,
      `HTTP/1.0 200 OK\r\n${contentLength}\n\r\n`,
      `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n${contentLength}\r\n\r\n`,
    ])
      expect([head, await downloadRaw([head, picture])]).toEqual([head, picture]);
  });

  test('are accepted: bytes after the declared length', async () => {
    expect(
      await downloadWith([contentLength], Buffer.concat([picture, Buffer.from('HTTP/1.1 404')])),
    ).toEqual(picture);
  });
});

describe('malformed responses', () => {
  test.each([
    ['headers beyond 300 KiB', [`X: ${'x'.repeat(310_000)}`], 'its headers exceed 300 KiB'],
    ['two lengths', [contentLength, contentLength], 'it has more than one Content-Length header'],
    [
      'a length that is not a number',
      ['Content-Length: unknown'],
      'its Content-Length header is not a number',
    ],
    ['a negative length', ['Content-Length: -1'], 'its Content-Length header is not a number'],
    [
      'a line without a colon',
      [contentLength, 'this is no header'],
      'a header line has no colon or contains a forbidden character',
    ],
    ['no chunks', ['Transfer-Encoding: chunked'], 'a chunk of its body has an invalid size'],
  ])('are rejected with a reason: %s', async (_name, lines, reason) => {
    expect(await downloadWith(lines, picture)).toEqual(makeMalformedError(reason));
  });

  test('are rejected with a reason: an endless chunk extension', async () => {
    expect(await downloadWith(['Transfer-Encoding: chunked'], `5;${'x'.repeat(20_000)}`)).toEqual(
      makeMalformedError('a chunk of its body has an invalid size'),
    );
  });

  test('are rejected with a reason: a status line without a status', async () => {
    expect(await downloadRaw(['HTTP/1.1 OK\r\n\r\n'])).toEqual(
      makeMalformedError('its status line is invalid'),
    );
  });
});

describe('a Content-Encoding header', () => {
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
  ])('is ignored if the body is not compressed: %s', async (coding) => {
    expect(await downloadWith([contentLength, `Content-Encoding: ${coding}`], picture)).toEqual(picture);
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
  ])('is applied although it was not requested: %s', async (coding, body) => {
    expect(await downloadWith([`Content-Encoding: ${coding}`], body)).toEqual(picture);
  });

  test('is not inferred from a compressed file', async () => {
    const body = gzipSync(picture);
    expect(await downloadWith([], body)).toEqual(body);
    expect(await downloadWith(['Content-Encoding: identity'], body)).toEqual(body);
  });

  test.each([
    ['an empty body', Buffer.alloc(0), Buffer.alloc(0)],
    ['a short body', Buffer.from('x'), Buffer.from('x')],
  ])('is ignored for %s', async (_name, body, expected) => {
    expect(await downloadWith(['Content-Encoding: utf-8'], body)).toEqual(expected);
  });

  test.each([
    ['gzip', gzipSync(Buffer.alloc(16 * mebibyte))],
    ['deflate', deflateSync(Buffer.alloc(16 * mebibyte))],
    ['br', brotliCompressSync(Buffer.alloc(16 * mebibyte))],
    ['zstd', zstdCompressSync(Buffer.alloc(16 * mebibyte))],
  ])('causes decompression only up to the size limit: %s', async (coding, body) => {
    expect(body.length).toBeLessThan(mebibyte);
    expect(await downloadWith([`Content-Encoding: ${coding}`], body, { maxBytes: mebibyte })).toMatchObject({
      code: 'body_too_large',
    });
  });

  test('does not disable the size limit for the received bytes', async () => {
    const emptyMember = gzipSync(Buffer.alloc(0));
    const body = Buffer.concat(Array.from({ length: 2_000 }, () => emptyMember));
    expect(await downloadWith(['Content-Encoding: gzip'], body, { maxBytes: 30_000 })).toMatchObject({
      code: 'body_too_large',
    });
  });

  test.each([
    ['gzip', gzipSync(picture).subarray(0, -12)],
    ['br', Buffer.from('no brotli at all, but long enough to be inspected')],
  ])('causes an error if the data cannot be decompressed: %s', async (coding, body) => {
    expect(await downloadWith([`Content-Encoding: ${coding}`], body)).toMatchObject({
      code: 'source_refused',
      message: `The server sent the file compressed (${coding}), but the compressed data is corrupt or truncated.`,
    });
  });

  test('does not hide that the download was interrupted', async () => {
    const body = gzipSync(picture);
    const lines = ['Content-Encoding: gzip', `Content-Length: ${body.length + 5}`];
    expect(await downloadWith(lines, body)).toMatchObject({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${body.length} of ${body.length + 5} bytes were received.`,
    });
  });
});

describe('public servers that send no HTTP response', () => {
  const connection = { connectMs: 1_000, headersMs: 2_000, isInAllowedNetwork: false };

  async function waitForError(socket: ReturnType<typeof connect>): Promise<unknown> {
    const [error] = (await once(socket, 'error')) as unknown[];
    return error;
  }

  test('are reported if the port is closed', async () => {
    const closedServer = await serveRaw();
    await closedServer.close();
    const error = toConnectionError(await waitForError(connect(closedServer.port, '127.0.0.1')), connection);
    expect([error.code, error.message]).toEqual(['source_unavailable', 'The server refused the connection.']);
  });

  test('are reported if the port does not use TLS', async () => {
    const plainServer = await serveRaw('SSH-2.0-OpenSSH_9.9\r\n');
    const error = toConnectionError(
      await waitForError(connectTls(plainServer.port, '127.0.0.1')),
      connection,
    );
    expect(error.message).toBe('The server does not speak TLS on this port.');
    await plainServer.close();
  });

  test.each([
    ['HPE_INVALID_CONSTANT', "The server's response is not HTTP."],
    ['ECONNRESET', 'The server closed the connection before it responded.'],
  ])('are reported with a message for the error code %s', (code, message) => {
    const error = Object.assign(new Error(), { code });
    expect(toHeadError(error, connection)).toMatchObject({ code: 'source_unavailable', message });
    expect(toHeadError(error, { ...connection, isInAllowedNetwork: true }).message).toMatch(
      /^The server sent no HTTP response/,
    );
  });
});

test('recognises a different protocol by its first bytes', async () => {
  const server = await serveRaw('220 ');
  const startedAt = performance.now();
  const { message } = await catchDownloadError(
    makeTestFetcher({ headersMs: 60_000, totalMs: 60_000 }),
    `http://127.0.0.1:${server.port}/`,
  );
  expect(message).toMatch(/^The server sent no HTTP response/);
  expect(performance.now() - startedAt).toBeLessThan(30_000);
  await server.close();
});
