import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allClosed, download, testFetcher } from './support/fetching.ts';
import { mebibyte, servePages } from './support/pages.ts';

let origin: Awaited<ReturnType<typeof servePages>>;
const at = (path: string) => origin.at(path);

beforeAll(async () => {
  origin = await servePages();
});

afterAll(async () => {
  await allClosed(origin);
  await origin.close();
});

test('downloads a picture unchanged over its own connection', async () => {
  const before = origin.connections();
  const fetcher = testFetcher();
  const [first, second] = [await download(fetcher, at('/a.jpg?b')), await download(fetcher, at('/a.jpg?b'))];
  expect([first.bytes.toString(), second.bytes.toString()]).toEqual(['a picture', 'a picture']);
  expect(first).toMatchObject({ filename: 'a.jpg', finalUrl: at('/a.jpg?b') });
  expect(origin.connections() - before).toBe(2);
  await allClosed(origin);
});

test('sends a request that accepts anything and does not identify the sender', async () => {
  await download(testFetcher({ userAgent: 'Vitrine/1.0' }), at('/a.jpg?q=1'));
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
  expect((await download(testFetcher(), at('/empty'))).bytes).toHaveLength(0);
});

describe('statuses', () => {
  test.each([101, 201, 204, 206, 300, 304, 400, 401, 403, 404, 410, 416, 451])(
    'treats %i as permanent',
    async (status) => {
      const message = `The server returned status ${status} instead of an image.`;
      expect(await origin.refusal(`/status/${status}`)).toEqual({ code: 'source_refused', message });
    },
  );

  test('accepts 203', async () => {
    expect((await download(testFetcher(), at('/status/203'))).bytes.toString()).toBe('x');
  });

  test.each([408, 425, 429, 500, 502, 503, 504])('treats %i as temporary', async (status) => {
    const message = `The server returned status ${status} instead of an image.`;
    expect(await origin.refusal(`/status/${status}`)).toEqual({ code: 'source_unavailable', message });
  });
});

describe('rejected redirects', () => {
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
  ])('%s', async (path, message) => {
    expect(await origin.refusal(path)).toEqual({ code: 'source_refused', message });
  });
});

test.each([0, 1, 5])('follows %i redirects, but not one more', async (maxRedirects) => {
  const fetcher = testFetcher({ maxRedirects });
  expect((await download(fetcher, at(`/redirects/${maxRedirects}`))).bytes.toString()).toBe('a picture');
  const before = origin.requests.length;
  const { code, message } = await origin.refusal(`/redirects/${maxRedirects + 1}`, { maxRedirects });
  expect([code, message]).toEqual([
    'source_refused',
    maxRedirects === 0
      ? 'The server sent a redirect, but redirects are disabled (IMPORT_MAX_REDIRECTS is 0).'
      : `The server redirected more than ${maxRedirects} time${maxRedirects === 1 ? '' : 's'}.`,
  ]);
  expect(origin.requests.length - before).toBe(maxRedirects + 1);
});

describe('sizes', () => {
  const tooLarge = {
    code: 'body_too_large',
    message: 'The file at the URL is larger than 1 MiB (1048576 bytes).',
  };

  test('rejects a declared length that is too large before reading a byte', async () => {
    expect(await origin.refusal('/announced', { maxBytes: mebibyte })).toEqual(tooLarge);
  });

  test('stops an endless body at the limit', async () => {
    const { body } = await testFetcher({ maxBytes: mebibyte }).fetch(
      at('/endless'),
      new AbortController().signal,
    );
    let received = 0;
    const reading = async () => {
      for await (const chunk of body) received += (chunk as Buffer).length;
    };
    await expect(reading()).rejects.toMatchObject(tooLarge);
    expect(received).toBeLessThanOrEqual(mebibyte);
    await allClosed(origin);
  });

  test('accepts a body of exactly the limit', async () => {
    expect((await download(testFetcher({ maxBytes: mebibyte }), at('/exact'))).bytes).toHaveLength(mebibyte);
    expect((await origin.refusal('/exact', { maxBytes: mebibyte - 1 })).message).toBe(
      'The file at the URL is larger than 1 MiB (1048575 bytes).',
    );
  });
});
