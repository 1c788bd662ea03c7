import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { closeStalledResponses } from '../../src/http/guard/stalled-responses.ts';
import { call, upload } from '../support/process/client.ts';
import { useServer } from '../support/process/server.ts';
import { connectRaw, formHead } from '../support/process/socket.ts';
import { timeScale } from '../support/time-scale.ts';

const mebibyte = 2 ** 20;
const get = (path: string) => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`;

/** Opens a client that sends a request and reads nothing of the response. */
async function mute(url: string, sent: string) {
  const connection = await connectRaw(url);
  connection.socket.pause();
  await connection.write(sent);
  return connection;
}

describe('a server whose connections are all held by clients that read nothing', () => {
  const server = useServer({ MAX_CONNECTIONS: '6', RESPONSE_STALL_SECONDS: '1' });

  test('soon serves other clients again', async () => {
    const { url } = server();
    // Larger than the socket buffers of the kernel.
    const noise = { width: 1_900, height: 1_600, channels: 3, background: '#888' } as const;
    const pixels = sharp({ create: { ...noise, noise: { type: 'gaussian', mean: 128, sigma: 60 } } });
    const { body } = await upload(url, await pixels.png({ compressionLevel: 0 }).toBuffer());
    const path = `/v1/images/${body.id}/original`;
    // The connection of the upload may still be open, so open one more than the limit.
    const greedy: Awaited<ReturnType<typeof mute>>[] = [];
    for (let taken = 0; taken < 7; taken += 1) greedy.push(await mute(url, get(path)));
    const isServed = async () => {
      const connection = await connectRaw(url);
      await connection.write(get('/healthz'));
      const answer = await connection.until(/healthy/, 500).catch(() => '');
      connection.socket.destroy();
      return answer.startsWith('HTTP/1.1 200');
    };
    expect(await isServed()).toBe(false);
    await expect.poll(isServed, { interval: 50 }).toBe(true);
    expect(server().log()).toContain('a client stopped reading a response');
    for (const { socket } of greedy) socket.destroy();
  });

  test('closes the connection of a refused client that stays connected', async () => {
    const connection = await connectRaw(server().url);
    connection.socket.allowHalfOpen = true;
    await connection.write('no HTTP at all\r\n\r\n');
    await connection.until(/^HTTP\/1\.1 400 /);
    // The client keeps its side open, so only a reset shows that the server closed the connection.
    const ended = expect.poll(
      async () => {
        await connection.write('x');
        return connection.socket.destroyed;
      },
      { interval: 200 },
    );
    await ended.toBe(true);
  });
});

describe('progress', () => {
  const stallMs = 500;
  let app: FastifyInstance;
  let url: string;
  const large = Buffer.alloc(12 * mebibyte, 'x');

  beforeAll(async () => {
    app = Fastify({ keepAliveTimeout: 700 });
    closeStalledResponses(app, stallMs);
    app.get('/memory', () => large);
    app.get('/stream', (_request, reply) =>
      reply.send(
        Readable.from(
          Array.from({ length: 192 }, () => Buffer.alloc(65_536)),
          { objectMode: false },
        ),
      ),
    );
    app.get('/small', () => Buffer.alloc(100_000));
    app.get('/thinking', async () => {
      await sleep(3 * stallMs);
      return 'at last';
    });
    app.post('/slow-body', async (request) => {
      let bytes = 0;
      for await (const chunk of request.raw) bytes += (chunk as Buffer).length;
      return `${bytes} bytes`;
    });
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    url = await app.listen({ host: '127.0.0.1', port: 0 });
  });

  afterAll(() => app.close());

  const open = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)));

  test.each([
    ['a large answer from memory', get('/memory')],
    ['a streamed one', get('/stream')],
    ['many small ones to pipelined requests', get('/small').repeat(200)],
    ['one behind which another request drips', `${get('/stream')}GET / HTTP/1.1\r\nx: `],
  ])('%s that is not read is closed', async (_name, sent) => {
    const connection = await mute(url, sent);
    const began = performance.now();
    await expect.poll(open, { interval: 20 }).toBe(1);
    await expect.poll(open, { interval: 20 }).toBe(0);
    const ms = performance.now() - began;
    expect(ms).toBeGreaterThan(stallMs * 0.9);
    expect(ms).toBeLessThan(4 * stallMs * timeScale);
    connection.socket.destroy();
  });

  test.each(['/memory', '/stream'])('sends %s completely to a slow but steady reader', async (path) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(get(path));
    const began = performance.now();
    let received = 0;
    // In small pieces, because the kernel accepts large writes in parts.
    while (received < large.length && !socket.destroyed) {
      await sleep(8);
      received += (socket.read() as Buffer | null)?.length ?? 0;
    }
    expect(received).toBeGreaterThanOrEqual(large.length);
    expect(performance.now() - began).toBeGreaterThan(2 * stallMs);
    socket.destroy();
  });

  test('does not count the time to prepare a response', async () => {
    expect((await call(`${url}/thinking`)).bytes.toString()).toBe('at last');
  });

  test('does not count the time of a slow upload', async () => {
    const connection = await connectRaw(url);
    await connection.write(formHead('/slow-body', 4));
    for (let sent = 0; sent < 4; sent += 1) {
      await sleep(stallMs * 0.6);
      await connection.write('x');
    }
    await connection.until(/4 bytes$/);
    connection.socket.destroy();
  });

  test('closes an idle connection after the keep-alive timeout', async () => {
    const connection = await connectRaw(url);
    await connection.write(get('/small'));
    await connection.until(/\0{1000}$/);
    // Node adds a second to the announced timeout.
    const ms = await connection.closed();
    expect(ms).toBeGreaterThan(600);
  });
});
