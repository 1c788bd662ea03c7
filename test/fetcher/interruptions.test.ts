import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilAllClosed, download, downloadError, testFetcher } from './support/test-fetcher.ts';
import { serveRaw } from './support/origin.ts';
import { mebibyte, servePages } from './support/test-pages.ts';

const noResponse = {
  code: 'source_unavailable',
  message:
    'The server sent no HTTP response: it refuses or drops connections, is too slow, or uses a different protocol.',
};

let origin: Awaited<ReturnType<typeof servePages>>;
const at = (path: string) => origin.at(path);

beforeAll(async () => {
  origin = await servePages();
});

afterAll(async () => {
  await untilAllClosed(origin);
  await origin.close();
});

const untilClosed = (body: Readable) => new Promise((resolve) => body.once('close', resolve));

describe('timeouts', () => {
  test.each([
    ['/silent', { headersMs: 200 }, 'The server did not start responding within 0.2 s.'],
    ['/stalled', { idleMs: 200 }, 'The server sent no data for 0.2 s.'],
    ['/drip', { idleMs: 400, totalMs: 500 }, 'The download took longer than 0.5 s.'],
    ['/silent', { totalMs: 200 }, 'The download took longer than 0.2 s.'],
  ])('abort %s with %o', async (path, options, message) => {
    expect(await origin.downloadError(path, options)).toEqual({ code: 'source_unavailable', message });
  });

  test('abort a response whose head never ends', async () => {
    const server = await serveRaw('HTTP/1.1 200 OK\r\nx: ');
    const { message } = await downloadError(
      testFetcher({ headersMs: 300 }),
      `http://127.0.0.1:${server.port}/`,
    );
    expect(message).toBe('The server did not start responding within 0.3 s.');
    await untilAllClosed(server);
    await server.close();
  });

  test('ignore the time that the reader takes', async () => {
    const { body } = await testFetcher({ idleMs: 100 }).fetch(at('/exact'), new AbortController().signal);
    await sleep(400);
    let received = 0;
    for await (const chunk of body) received += (chunk as Buffer).length;
    expect(received).toBe(mebibyte);
  });

  test('report an error to a reader that attaches later', async () => {
    const { body } = await testFetcher({ totalMs: 500 }).fetch(at('/drip'), new AbortController().signal);
    await expect.poll(() => body.errored).toBeTruthy();
    const reading = async () => {
      for await (const _ of body);
    };
    await expect(reading()).rejects.toMatchObject({ message: 'The download took longer than 0.5 s.' });
  });
});

describe('broken responses', () => {
  test.each([
    ['/cut', '9 of 1000 bytes were received'],
    ['/cut-chunked', '9 bytes were received'],
  ])('fail with the received size: %s', async (path, received) => {
    expect(await origin.downloadError(path)).toEqual({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${received}.`,
    });
  });

  test('fail if the connection is reset', async () => {
    expect(await origin.downloadError('/reset-midway')).toEqual({
      code: 'source_unavailable',
      message: 'The connection was lost during the download.',
    });
  });

  test('fail with the same message for every connection failure inside an allowed network', async () => {
    const fetcher = testFetcher({ connectMs: 300 });
    const closed = await serveRaw();
    await closed.close();
    const silent = await serveRaw();
    const other = await serveRaw('SSH-2.0-OpenSSH_9.9\r\n');
    const urls = [
      `http://127.0.0.1:${closed.port}/`,
      at('/reset'),
      `http://127.0.0.1:${other.port}/`,
      `https://127.0.0.1:${silent.port}/`,
      `https://127.0.0.1:${other.port}/`,
    ];
    for (const url of urls) expect(await downloadError(fetcher, url)).toEqual(noResponse);
    for (const server of [silent, other]) {
      await untilAllClosed(server);
      await server.close();
    }
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  test('before the download opens no connection', async () => {
    const before = origin.connections();
    await expect(download(testFetcher(), at('/a.jpg'), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(origin.connections()).toBe(before);
  });

  test.each(['/silent', '/stalled', '/drip', '/endless'])('during %s closes the connection', async (path) => {
    const controller = new AbortController();
    const downloading = download(testFetcher({ maxBytes: 1e12 }), at(path), controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloading).rejects.toBe(reason);
    await untilAllClosed(origin);
  });

  test('during the TLS handshake closes the connection', async () => {
    const silent = await serveRaw();
    const controller = new AbortController();
    const url = `https://127.0.0.1:${silent.port}/`;
    const downloading = download(testFetcher({ connectMs: 60_000 }), url, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloading).rejects.toBe(reason);
    await untilAllClosed(silent);
    await silent.close();
  });

  test('without a reader destroys the body', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(at('/a.jpg'), controller.signal);
    await sleep(50);
    controller.abort(reason);
    await untilClosed(body);
    expect(body.errored).toBe(reason);
    await untilAllClosed(origin);
  });

  test('with a reason that is not an error becomes an AppError', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(at('/drip'), controller.signal);
    controller.abort('enough');
    await untilClosed(body);
    expect(body.errored).toMatchObject({ code: 'source_unavailable', message: 'The download was stopped.' });
  });

  test('by a reader that stops closes the connection', async () => {
    const { body } = await testFetcher().fetch(at('/drip'), new AbortController().signal);
    for await (const _ of body) break;
    await untilAllClosed(origin);
  });

  test('by closing the fetcher ends running downloads and rejects new ones', async () => {
    const fetcher = testFetcher();
    const shuttingDown = { code: 'unavailable', message: 'The downloader is shutting down.' };
    const aborted = expect(downloadError(fetcher, at('/silent'))).resolves.toEqual(shuttingDown);
    const { body } = await fetcher.fetch(at('/drip'), new AbortController().signal);
    await fetcher.close();
    expect(body.destroyed).toBe(true);
    await aborted;
    await untilAllClosed(origin);
    expect(await downloadError(fetcher, at('/a.jpg'))).toEqual(shuttingDown);
  });
});
