import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { waitUntilAllClosed, download, catchDownloadError, makeTestFetcher } from './support/test-fetcher.ts';
import { serveRaw } from './support/origin.ts';
import { mebibyte, servePages } from './support/test-pages.ts';

const noResponseError = {
  code: 'source_unavailable',
  message:
    'The server sent no HTTP response: it refuses or drops connections, is too slow, or uses a different protocol.',
};

let origin: Awaited<ReturnType<typeof servePages>>;
const makePageUrl = (path: string) => origin.makePageUrl(path);

beforeAll(async () => {
  origin = await servePages();
});

afterAll(async () => {
  await waitUntilAllClosed(origin);
  await origin.close();
});

const waitUntilClosed = (body: Readable) => new Promise((resolve) => body.once('close', resolve));

describe('timeouts', () => {
  test.each([
    ['/silent', { headersMs: 200 }, 'The server did not start responding within 0.2 s.'],
    ['/stalled', { idleMs: 200 }, 'The server sent no data for 0.2 s.'],
    ['/drip', { idleMs: 400, totalMs: 500 }, 'The download took longer than 0.5 s.'],
    ['/silent', { totalMs: 200 }, 'The download took longer than 0.2 s.'],
  ])('abort a download of %s with %o', async (path, options, message) => {
    expect(await origin.catchDownloadError(path, options)).toEqual({ code: 'source_unavailable', message });
  });

  test('abort a response whose head never ends', async () => {
    const server = await serveRaw('HTTP/1.1 200 OK\r\nx: ');
    const { message } = await catchDownloadError(
      makeTestFetcher({ headersMs: 300 }),
      `http://127.0.0.1:${server.port}/`,
    );
    expect(message).toBe('The server did not start responding within 0.3 s.');
    await waitUntilAllClosed(server);
    await server.close();
  });

  test('do not include the time that the reader takes', async () => {
    const { body } = await makeTestFetcher({ idleMs: 100 }).fetch(
      makePageUrl('/exact'),
      new AbortController().signal,
    );
    await sleep(400);
    let receivedBytes = 0;
    for await (const chunk of body) receivedBytes += (chunk as Buffer).length;
    expect(receivedBytes).toBe(mebibyte);
  });

  test('report an error to a reader that attaches later', async () => {
    const { body } = await makeTestFetcher({ totalMs: 500 }).fetch(
      makePageUrl('/drip'),
      new AbortController().signal,
    );
    await expect.poll(() => body.errored).toBeTruthy();
    const readBody = async () => {
      for await (const _ of body);
    };
    await expect(readBody()).rejects.toMatchObject({ message: 'The download took longer than 0.5 s.' });
  });
});

describe('interrupted downloads', () => {
  test.each([
    ['/cut', '9 of 1000 bytes were received'],
    ['/cut-chunked', '9 bytes were received'],
  ])('are reported with the number of received bytes: %s', async (path, receivedBytesText) => {
    expect(await origin.catchDownloadError(path)).toEqual({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${receivedBytesText}.`,
    });
  });

  test('are reported with a message if the connection was reset', async () => {
    expect(await origin.catchDownloadError('/reset-midway')).toEqual({
      code: 'source_unavailable',
      message: 'The connection was lost during the download.',
    });
  });

  test('are reported with the same message for every connection failure in an allowed network', async () => {
    const fetcher = makeTestFetcher({ connectMs: 300 });
    const closedServer = await serveRaw();
    await closedServer.close();
    const silentServer = await serveRaw();
    const sshServer = await serveRaw('SSH-2.0-OpenSSH_9.9\r\n');
    const urls = [
      `http://127.0.0.1:${closedServer.port}/`,
      makePageUrl('/reset'),
      `http://127.0.0.1:${sshServer.port}/`,
      `https://127.0.0.1:${silentServer.port}/`,
      `https://127.0.0.1:${sshServer.port}/`,
    ];
    for (const url of urls) expect(await catchDownloadError(fetcher, url)).toEqual(noResponseError);
    for (const server of [silentServer, sshServer]) {
      await waitUntilAllClosed(server);
      await server.close();
    }
  });
});

describe('an abort', () => {
  const reason = new Error('enough');

  test('prevents the connection if it precedes the download', async () => {
    const connectionsBefore = origin.countConnections();
    await expect(download(makeTestFetcher(), makePageUrl('/a.jpg'), AbortSignal.abort(reason))).rejects.toBe(
      reason,
    );
    expect(origin.countConnections()).toBe(connectionsBefore);
  });

  test.each(['/silent', '/stalled', '/drip', '/endless'])('closes the connection during %s', async (path) => {
    const controller = new AbortController();
    const downloadPromise = download(
      makeTestFetcher({ maxBytes: 1e12 }),
      makePageUrl(path),
      controller.signal,
    );
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloadPromise).rejects.toBe(reason);
    await waitUntilAllClosed(origin);
  });

  test('closes the connection during the TLS handshake', async () => {
    const silentServer = await serveRaw();
    const controller = new AbortController();
    const url = `https://127.0.0.1:${silentServer.port}/`;
    const downloadPromise = download(makeTestFetcher({ connectMs: 60_000 }), url, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(downloadPromise).rejects.toBe(reason);
    await waitUntilAllClosed(silentServer);
    await silentServer.close();
  });

  test('destroys the body if there is no reader', async () => {
    const controller = new AbortController();
    const { body } = await makeTestFetcher().fetch(makePageUrl('/a.jpg'), controller.signal);
    await sleep(50);
    controller.abort(reason);
    await waitUntilClosed(body);
    expect(body.errored).toBe(reason);
    await waitUntilAllClosed(origin);
  });

  test('becomes an AppError if its reason is not an error', async () => {
    const controller = new AbortController();
    const { body } = await makeTestFetcher().fetch(makePageUrl('/drip'), controller.signal);
    controller.abort('enough');
    await waitUntilClosed(body);
    expect(body.errored).toMatchObject({ code: 'source_unavailable', message: 'The download was stopped.' });
  });
});

test('closes the connection if the reader of a download stops reading', async () => {
  const { body } = await makeTestFetcher().fetch(makePageUrl('/drip'), new AbortController().signal);
  for await (const _ of body) break;
  await waitUntilAllClosed(origin);
});

test('ends running downloads and rejects new downloads when the fetcher is closed', async () => {
  const fetcher = makeTestFetcher();
  const shutdownError = { code: 'unavailable', message: 'The downloader is shutting down.' };
  const rejection = expect(catchDownloadError(fetcher, makePageUrl('/silent'))).resolves.toEqual(
    shutdownError,
  );
  const { body } = await fetcher.fetch(makePageUrl('/drip'), new AbortController().signal);
  await fetcher.close();
  expect(body.destroyed).toBe(true);
  await rejection;
  await waitUntilAllClosed(origin);
  expect(await catchDownloadError(fetcher, makePageUrl('/a.jpg'))).toEqual(shutdownError);
});
