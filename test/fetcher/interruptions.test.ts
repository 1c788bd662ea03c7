import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { allClosed, download, refusal, testFetcher } from './support/fetching.ts';
import { serveRaw } from './support/origin.ts';
import { mebibyte, servePages } from './support/pages.ts';

const noAnswer = {
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
  await allClosed(origin);
  await origin.close();
});

const closed = (body: Readable) => new Promise((resolve) => body.once('close', resolve));

describe('deadlines', () => {
  test.each([
    ['/silent', { headersMs: 200 }, 'The server did not start responding within 0.2 s.'],
    ['/stalled', { idleMs: 200 }, 'The server sent no data for 0.2 s.'],
    ['/drip', { idleMs: 400, totalMs: 500 }, 'The download took longer than 0.5 s.'],
    ['/silent', { totalMs: 200 }, 'The download took longer than 0.2 s.'],
  ])('end %s under %o', async (path, options, message) => {
    expect(await origin.refusal(path, options)).toEqual({ code: 'source_unavailable', message });
  });

  test('end a head that arrives byte by byte', async () => {
    const server = await serveRaw('HTTP/1.1 200 OK\r\nx: ');
    const { message } = await refusal(testFetcher({ headersMs: 300 }), `http://127.0.0.1:${server.port}/`);
    expect(message).toBe('The server did not start responding within 0.3 s.');
    await allClosed(server);
    await server.close();
  });

  test('do not count the time that the reader takes', async () => {
    const { body } = await testFetcher({ idleMs: 100 }).fetch(at('/exact'), new AbortController().signal);
    await sleep(400);
    let received = 0;
    for await (const chunk of body) received += (chunk as Buffer).length;
    expect(received).toBe(mebibyte);
  });

  test('keep an early error until the reader attaches', async () => {
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
  ])('%s', async (path, received) => {
    expect(await origin.refusal(path)).toEqual({
      code: 'source_unavailable',
      message: `The server ended the response too early: ${received}.`,
    });
  });

  test('/reset-midway', async () => {
    expect(await origin.refusal('/reset-midway')).toEqual({
      code: 'source_unavailable',
      message: 'The connection was lost during the download.',
    });
  });

  test('inside an allowed network, all connection failures have the same message', async () => {
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
    for (const url of urls) expect(await refusal(fetcher, url)).toEqual(noAnswer);
    for (const server of [silent, other]) {
      await allClosed(server);
      await server.close();
    }
  });
});

describe('aborts', () => {
  const reason = new Error('enough');

  test('an already aborted signal', async () => {
    const before = origin.connections();
    await expect(download(testFetcher(), at('/a.jpg'), AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(origin.connections()).toBe(before);
  });

  test.each(['/silent', '/stalled', '/drip', '/endless'])('a signal during %s', async (path) => {
    const controller = new AbortController();
    const ended = download(testFetcher({ maxBytes: 1e12 }), at(path), controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(ended).rejects.toBe(reason);
    await allClosed(origin);
  });

  test('a signal during the handshake', async () => {
    const silent = await serveRaw();
    const controller = new AbortController();
    const url = `https://127.0.0.1:${silent.port}/`;
    const ended = download(testFetcher({ connectMs: 60_000 }), url, controller.signal);
    setTimeout(() => controller.abort(reason), 100);
    await expect(ended).rejects.toBe(reason);
    await allClosed(silent);
    await silent.close();
  });

  test('a signal without a reader', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(at('/a.jpg'), controller.signal);
    await sleep(50);
    controller.abort(reason);
    await closed(body);
    expect(body.errored).toBe(reason);
    await allClosed(origin);
  });

  test('a reason that is not an error', async () => {
    const controller = new AbortController();
    const { body } = await testFetcher().fetch(at('/drip'), controller.signal);
    controller.abort('enough');
    await closed(body);
    expect(body.errored).toMatchObject({ code: 'source_unavailable', message: 'The download was stopped.' });
  });

  test('a reader that stops', async () => {
    const { body } = await testFetcher().fetch(at('/drip'), new AbortController().signal);
    for await (const _ of body) break;
    await allClosed(origin);
  });

  test('close aborts running downloads and rejects new ones', async () => {
    const fetcher = testFetcher();
    const shuttingDown = { code: 'unavailable', message: 'The downloader is shutting down.' };
    const waiting = expect(refusal(fetcher, at('/silent'))).resolves.toEqual(shuttingDown);
    const { body } = await fetcher.fetch(at('/drip'), new AbortController().signal);
    await fetcher.close();
    expect(body.destroyed).toBe(true);
    await waiting;
    await allClosed(origin);
    expect(await refusal(fetcher, at('/a.jpg'))).toEqual(shuttingDown);
  });
});
