import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { untilAllClosed, download, downloadError, testFetcher } from './support/test-fetcher.ts';
import { serveRaw } from './support/origin.ts';
import { mebibyte, servePages } from './support/test-pages.ts';

const noResponseError = {
  code: 'source_unavailable',
  message:
    'The server sent no HTTP response: it refuses or drops connections, is too slow, or uses a different protocol.',
};

let origin: Awaited<ReturnType<typeof servePages>>;
const pageUrl = (path: string) => origin.pageUrl(path);

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

  test('do not include the time that the reader takes', async () => {
    const { body } = await testFetcher({ idleMs: 100 }).fetch(
      pageUrl('/exact'),
      new AbortController().signal,
    );
    await sleep(400);
    let receivedBytes = 0;
    for await (const chunk of body) receivedBytes += (chunk as Buffer).length;
    expect(receivedBytes).toBe(mebibyte);
  });

  test('report an error to a reader that attaches later', async () => {
    const { body } = await testFetcher({ totalMs: 500 }).fetch(
      pageUrl('/drip'),
      new AbortController().signal,
    );
    await expect.poll(() => body.errored).toBeTruthy();
    const readBody = async () => {
      for await (const _ of body);
    };
    await expect(readBody()).rejects.toMatchObject({ message: 'The download took longer than 0.5 s.' });
  });
});

describe('interrupted responses', () => {
  test.each([
    ['/cut', '9 of 1000 bytes were received'],
    ['/cut-chunked', '9 bytes were received'],
  ])('report how many bytes were received: %s', async (path, received) => {
    expect(await origin.downloadError(path)).toEqual({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${received}.`,
    });
  });

  test('report that the connection was reset', async () => {
    expect(await origin.downloadError('/reset-midway')).toEqual({
      code: 'source_unavailable',
      message: 'The connection was lost during the download.',
    });
  });

  test('report every connection failure in an allowed network with the same message', async () => {
    const fetcher = testFetcher({ connectMs: 300 });
    const closedServer = await serveRaw();
    await closedServer.close();
    const silentServer = await serveRaw();
    const sshServer = await serveRaw('SSH-2.0-OpenSSH_9.9\r\n');
    const urls = [
      `http://127.0.0.1:${closedServer.port}/`,
      pageUrl('/reset'),
      `http://127.0.0.1:${sshServer.port}/`,
      `https://127.0.0.1:${silentServer.port}/`,
      `https://127.0.0.1:${sshServer.port}/`,
    ];
    for (const url of urls) expect(await downloadError(fetcher, url)).toEqual(noResponseError);
    for (const server of [silentServer, sshServer]) {
      await untilAllClosed(server);
      await server.close();
    }
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  test('opens no connection if it precedes the download', async () => {
    const connectionsBefore = origin.connections();
    await expect(download(testFetcher(), pageUrl('/a.jpg'), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(origin.connections()).toBe(connectionsBefore);
  });

  test.each(['/silent', '/stalled', '/drip', '/endless'])('closes the connection during %s', async (path) => {
    const controller = new AbortController();
    const downloadPromise = download(testFetcher({ maxBytes: 1e12 }), pageUrl(path), controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloadPromise).rejects.toBe(reason);
    await untilAllClosed(origin);
  });

  test('closes the connection during the TLS handshake', async () => {
    const silentServer = await serveRaw();
    const controller = new AbortController();
    const url = `https://127.0.0.1:${silentServer.port}/`;
    const downloadPromise = download(testFetcher({ connectMs: 60_000 }), url, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloadPromise).rejects.toBe(reason);
    await untilAllClosed(silentServer);
    await silentServer.close();
  });

  test('destroys the body if there is no reader', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(pageUrl('/a.jpg'), controller.signal);
    await sleep(50);
    controller.abort(reason);
    await untilClosed(body);
    expect(body.errored).toBe(reason);
    await untilAllClosed(origin);
  });

  test('becomes an AppError if its reason is not an error', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(pageUrl('/drip'), controller.signal);
    controller.abort('enough');
    await untilClosed(body);
    expect(body.errored).toMatchObject({ code: 'source_unavailable', message: 'The download was stopped.' });
  });
});

test('closes the connection if the reader of a download stops reading', async () => {
  const { body } = await testFetcher().fetch(pageUrl('/drip'), new AbortController().signal);
  for await (const _ of body) break;
  await untilAllClosed(origin);
});

test('ends running downloads and rejects new downloads when the fetcher is closed', async () => {
  const fetcher = testFetcher();
  const shutdownError = { code: 'unavailable', message: 'The downloader is shutting down.' };
  const rejection = expect(downloadError(fetcher, pageUrl('/silent'))).resolves.toEqual(shutdownError);
  const { body } = await fetcher.fetch(pageUrl('/drip'), new AbortController().signal);
  await fetcher.close();
  expect(body.destroyed).toBe(true);
  await rejection;
  await untilAllClosed(origin);
  expect(await downloadError(fetcher, pageUrl('/a.jpg'))).toEqual(shutdownError);
});
