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
const makeGetRequest = (path: string) => `GET ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n`;

/** Sends a request without reading the response. */
async function sendWithoutReading(url: string, request: string) {
  const connection = await connectRaw(url);
  connection.socket.pause();
  await connection.write(request);
  return connection;
}

describe('a server whose connections are all used by clients that do not read', () => {
  const server = useServer({ MAX_CONNECTIONS: '6', RESPONSE_STALL_SECONDS: '1' });

  test('closes the stalled connections and serves other clients again', async () => {
    const { url } = server();
    // The response must be larger than the kernel’s socket buffers.
    const noise = { width: 1_900, height: 1_600, channels: 3, background: '#888' } as const;
    const picture = sharp({ create: { ...noise, noise: { type: 'gaussian', mean: 128, sigma: 60 } } });
    const { body } = await upload(url, await picture.png({ compressionLevel: 0 }).toBuffer());
    const path = `/v1/images/${body.id}/original`;
    // One connection more than the limit is opened, so that the server is still full after the upload connection is closed.
    const stalledConnections: Awaited<ReturnType<typeof sendWithoutReading>>[] = [];
    for (let i = 0; i < 7; i += 1)
      stalledConnections.push(await sendWithoutReading(url, makeGetRequest(path)));
    const isServed = async () => {
      const connection = await connectRaw(url);
      await connection.write(makeGetRequest('/healthz'));
      const response = await connection.until(/healthy/, 500).catch(() => '');
      connection.socket.destroy();
      return response.startsWith('HTTP/1.1 200');
    };
    expect(await isServed()).toBe(false);
    await expect.poll(isServed, { interval: 50 }).toBe(true);
    expect(server().log()).toContain('a client stopped reading a response');
    for (const { socket } of stalledConnections) socket.destroy();
  });

  test('closes the connection after an invalid request if the client keeps the connection open', async () => {
    const connection = await connectRaw(server().url);
    connection.socket.allowHalfOpen = true;
    await connection.write('not HTTP\r\n\r\n');
    await connection.until(/^HTTP\/1\.1 400 /);
    // The client keeps its side open, so only a reset shows that the server has closed the connection.
    const closing = expect.poll(
      async () => {
        await connection.write('x');
        return connection.socket.destroyed;
      },
      { interval: 200 },
    );
    await closing.toBe(true);
  });
});

describe('a server that closes stalled responses', () => {
  const stallMs = 500;
  let app: FastifyInstance;
  let url: string;
  const largeBody = Buffer.alloc(12 * mebibyte, 'x');

  beforeAll(async () => {
    app = Fastify({ keepAliveTimeout: 700 });
    closeStalledResponses(app, stallMs);
    app.get('/memory', () => largeBody);
    app.get('/stream', (_request, reply) =>
      reply.send(
        Readable.from(
          Array.from({ length: 192 }, () => Buffer.alloc(65_536)),
          { objectMode: false },
        ),
      ),
    );
    app.get('/small', () => Buffer.alloc(100_000));
    app.get('/slow-handler', async () => {
      await sleep(3 * stallMs);
      return 'done';
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

  const countConnections = () =>
    new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)));

  test.each([
    ['a large response from memory', makeGetRequest('/memory')],
    ['a streamed response', makeGetRequest('/stream')],
    ['many small responses to pipelined requests', makeGetRequest('/small').repeat(200)],
    [
      'a response that is followed by an unfinished request',
      `${makeGetRequest('/stream')}GET / HTTP/1.1\r\nx: `,
    ],
  ])('closes the connection if the client does not read %s', async (_name, request) => {
    const connection = await sendWithoutReading(url, request);
    const startedAt = performance.now();
    await expect.poll(countConnections, { interval: 20 }).toBe(1);
    await expect.poll(countConnections, { interval: 20 }).toBe(0);
    const elapsedMs = performance.now() - startedAt;
    expect(elapsedMs).toBeGreaterThan(stallMs * 0.9);
    expect(elapsedMs).toBeLessThan(4 * stallMs * timeScale);
    connection.socket.destroy();
  });

  test.each(['/memory', '/stream'])('sends %s completely to a slow but steady reader', async (path) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.write(makeGetRequest(path));
    const startedAt = performance.now();
    let receivedBytes = 0;
    // Each small read lets the kernel accept the next part of the response, so the transfer does not stall.
    while (receivedBytes < largeBody.length && !socket.destroyed) {
      await sleep(8);
      receivedBytes += (socket.read() as Buffer | null)?.length ?? 0;
    }
    expect(receivedBytes).toBeGreaterThanOrEqual(largeBody.length);
    expect(performance.now() - startedAt).toBeGreaterThan(2 * stallMs);
    socket.destroy();
  });

  test('does not treat a slow handler as a stalled response', async () => {
    expect((await call(`${url}/slow-handler`)).bytes.toString()).toBe('done');
  });

  test('does not treat a slow upload as a stalled response', async () => {
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
    await connection.write(makeGetRequest('/small'));
    await connection.until(/\0{1000}$/);
    // Node adds a second to the announced timeout.
    const elapsedMs = await connection.closed();
    expect(elapsedMs).toBeGreaterThan(600);
  });
});
