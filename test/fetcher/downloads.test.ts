import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntilAllClosed, download, makeTestFetcher } from './support/test-fetcher.ts';
import { mebibyte, servePages } from './support/test-pages.ts';

let origin: Awaited<ReturnType<typeof servePages>>;
const makePageUrl = (path: string) => origin.makePageUrl(path);

beforeAll(async () => {
  origin = await servePages();
});

afterAll(async () => {
  await waitUntilAllClosed(origin);
  await origin.close();
});

test('downloads each picture unchanged over a new connection', async () => {
  const connectionsBefore = origin.countConnections();
  const fetcher = makeTestFetcher();
  const [firstDownload, secondDownload] = [
    await download(fetcher, makePageUrl('/a.jpg?b')),
    await download(fetcher, makePageUrl('/a.jpg?b')),
  ];
  expect([firstDownload.bytes.toString(), secondDownload.bytes.toString()]).toEqual([
    'a picture',
    'a picture',
  ]);
  expect(firstDownload).toMatchObject({ filename: 'a.jpg', finalUrl: makePageUrl('/a.jpg?b') });
  expect(origin.countConnections() - connectionsBefore).toBe(2);
  await waitUntilAllClosed(origin);
});

test('sends only the headers that a download needs', async () => {
  await download(makeTestFetcher({ userAgent: 'Vitrine/1.0' }), makePageUrl('/a.jpg?q=1'));
  const { method, url, headers } = origin.requests.at(-1) ?? {};
  expect([method, url]).toEqual(['GET', '/a.jpg?q=1']);
  expect(headers).toEqual({
    accept: '*/*',
    'accept-encoding': 'identity',
    connection: 'close',
    host: `127.0.0.1:${origin.port}`,
    'user-agent': 'Vitrine/1.0',
  });
});

test('accepts an empty body', async () => {
  expect((await download(makeTestFetcher(), makePageUrl('/empty'))).bytes).toHaveLength(0);
});

describe('status codes', () => {
  test.each([101, 201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451])(
    'cause a permanent failure: %i',
    async (status) => {
      const message = `The server returned status ${status} instead of an image.`;
      expect(await origin.catchDownloadError(`/status/${status}`)).toEqual({
        code: 'source_refused',
        message,
      });
    },
  );

  test('are accepted: 203', async () => {
    expect((await download(makeTestFetcher(), makePageUrl('/status/203'))).bytes.toString()).toBe('x');
  });

  test.each([408, 425, 429, 500, 502, 503, 504])('cause a temporary failure: %i', async (status) => {
    const message = `The server returned status ${status} instead of an image.`;
    expect(await origin.catchDownloadError(`/status/${status}`)).toEqual({
      code: 'source_unavailable',
      message,
    });
  });
});

describe('invalid redirects', () => {
  test.each([
    ['/no-location', 'The server returned status 302 without a Location header.'],
    [
      '/to-file',
      'The server redirected to a URL that cannot be imported. The URL begins with file:, but only http: and https: URLs can be imported.',
    ],
    [
      '/to-user',
      'The server redirected to a URL that cannot be imported. The URL must not contain a user name or a password.',
    ],
    ['/to-nothing', 'The server redirected to an invalid URL.'],
    ['/loop', 'The server redirected more than 3 times.'],
  ])('are rejected: %s', async (path, message) => {
    expect(await origin.catchDownloadError(path)).toEqual({ code: 'source_refused', message });
  });
});

test.each([0, 1, 5])('follows at most %i redirects', async (maxRedirects) => {
  const fetcher = makeTestFetcher({ maxRedirects });
  expect((await download(fetcher, makePageUrl(`/redirects/${maxRedirects}`))).bytes.toString()).toBe(
    'a picture',
  );
  const requestsBefore = origin.requests.length;
  const { code, message } = await origin.catchDownloadError(`/redirects/${maxRedirects + 1}`, {
    maxRedirects,
  });
  expect([code, message]).toEqual([
    'source_refused',
    maxRedirects === 0
      ? 'The server sent a redirect, but redirects are disabled (IMPORT_MAX_REDIRECTS is 0).'
      : `The server redirected more than ${maxRedirects} time${maxRedirects === 1 ? '' : 's'}.`,
  ]);
  expect(origin.requests.length - requestsBefore).toBe(maxRedirects + 1);
});

describe('the size limit', () => {
  const tooLargeError = {
    code: 'body_too_large',
    message: 'The file at the URL is larger than 1 MiB (1048576 bytes).',
  };

  test('rejects a declared length above the limit before reading the body', async () => {
    expect(await origin.catchDownloadError('/declared-too-large', { maxBytes: mebibyte })).toEqual(
      tooLargeError,
    );
  });

  test('stops an endless body at the limit', async () => {
    const { body } = await makeTestFetcher({ maxBytes: mebibyte }).fetch(
      makePageUrl('/endless'),
      new AbortController().signal,
    );
    let receivedBytes = 0;
    const readBody = async () => {
      for await (const chunk of body) receivedBytes += (chunk as Buffer).length;
    };
    await expect(readBody()).rejects.toMatchObject(tooLargeError);
    expect(receivedBytes).toBeLessThanOrEqual(mebibyte);
    await waitUntilAllClosed(origin);
  });

  test('accepts a body of exactly the maximum size', async () => {
    expect(
      (await download(makeTestFetcher({ maxBytes: mebibyte }), makePageUrl('/exact'))).bytes,
    ).toHaveLength(mebibyte);
    expect((await origin.catchDownloadError('/exact', { maxBytes: mebibyte - 1 })).message).toBe(
      'The file at the URL is larger than 1 MiB (1048575 bytes).',
    );
  });
});
