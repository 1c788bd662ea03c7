import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { rejectSlowBodies } from '../../src/http/guard/slow-bodies.ts';
import { call, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { connectRaw, formHead, partHead } from '../support/process/socket.ts';
import { timeScale } from '../support/time-scale.ts';

const jsonHead = (path: string, length: number) =>
  `POST ${path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n`;

describe('a server that rejects slow bodies', () => {
  const graceMs = 500;
  let app: FastifyInstance;
  let url: string;

  beforeAll(async () => {
    app = Fastify({ forceCloseConnections: true });
    rejectSlowBodies(app, { minBytesPerSecond: 1_000, graceMs });
    app.post('/json', (request) => request.body);
    app.addContentTypeParser('*', (_request, _payload, done) => done(null));
    app.post('/late-reader', async ({ raw }) => {
      await sleep(4 * graceMs);
      let bytes = 0;
      for await (const part of raw) bytes += (part as Buffer).length;
      return `${bytes} bytes`;
    });
    app.post('/early-response', async (_request, reply) => reply.send('done'));
    url = await app.listen({ host: '127.0.0.1', port: 0 });
  });

  afterAll(() => app.close());

  test.each([
    ['a byte now and then', 1],
    ['a steady but slow stream', 60],
  ])('returns 408 for %s, and closes the connection', async (_name, bytesPer100Ms) => {
    const connection = await connectRaw(url);
    const startedAt = performance.now();
    await connection.write(jsonHead('/json', 100_000));
    while (!connection.socket.destroyed && performance.now() - startedAt < 20 * graceMs) {
      await connection.write(' '.repeat(bytesPer100Ms));
      await sleep(100);
    }
    expect(connection.socket.destroyed).toBe(true);
    expect(connection.received()).toMatch(
      /^HTTP\/1\.1 408 .*"detail":"The body arrives too slowly: \d+ bytes in \d+ s; the minimum is 1000 bytes per second/s,
    );
    expect(performance.now() - startedAt).toBeGreaterThan(graceMs);
  });

  test('accepts a body that arrives slowly, but not too slowly', async () => {
    const connection = await connectRaw(url);
    const body = JSON.stringify('x'.repeat(6_000));
    await connection.write(jsonHead('/json', body.length));
    for (let offset = 0; offset < body.length; offset += 300) {
      await connection.write(body.slice(offset, offset + 300));
      await sleep(80);
    }
    await connection.until(/^HTTP\/1\.1 200 /);
    connection.socket.destroy();
  });

  test('accepts a pause after a fast start', async () => {
    const connection = await connectRaw(url);
    const body = JSON.stringify('x'.repeat(20_000));
    // The first bytes of the body arrive together with the headers.
    await connection.write(jsonHead('/json', body.length) + body.slice(0, 19_000));
    await sleep(4 * graceMs);
    await connection.write(body.slice(19_000));
    await connection.until(/^HTTP\/1\.1 200 /);
    connection.socket.destroy();
  });

  test('does not blame the client if the server does not read', async () => {
    const connection = await connectRaw(url);
    await connection.write(formHead('/late-reader', 4));
    await connection.write('x'.repeat(3));
    await sleep(4.2 * graceMs);
    await connection.write('x');
    await connection.until(/4 bytes$/);
    connection.socket.destroy();
  });

  test('closes the connection of a slow body that has already been answered', async () => {
    const connection = await connectRaw(url);
    await connection.write(formHead('/early-response', 100_000));
    await connection.until(/done$/);
    expect(await connection.closed()).toBeGreaterThan(graceMs / 2);
    expect(connection.received()).not.toContain('408');
  });

  test('measures each request of a connection separately', async () => {
    const connection = await connectRaw(url);
    const body = JSON.stringify('x'.repeat(50_000));
    await connection.write(jsonHead('/json', body.length) + body);
    await connection.until(/x{50000}$/);
    await connection.write(jsonHead('/json', 100));
    await connection.until(/ 408 /);
    connection.socket.destroy();
  });
});

describe('a server with 200 slow connections', () => {
  // Headers must arrive within the time limit of a request, if it is less than 10 s.
  const limitSeconds = 4;
  const server = useServer({
    REQUEST_SECONDS: String(limitSeconds),
    RESPONSE_STALL_SECONDS: '2',
    BODY_IDLE_SECONDS: '2',
    MAX_CONNECTIONS_PER_ADDRESS: '10',
    // This test is about the limits of time, not about admission control.
    MAX_ACTIVE_UPLOADS: '200',
    MAX_UPLOADS_IN_FLIGHT: '400',
  });

  /** What a slow client sends at first, and then every 300 ms. */
  const slowClients: Record<string, readonly [first: string, next: string]> = {
    'sends nothing': ['', ''],
    'sends its headers byte by byte': ['GET /v1/images HTTP/1.1\r\nhost: localhost\r\nx-slow: ', 'x'],
    'sends a form byte by byte': [formHead('/v1/images', 50_000) + partHead, 'x'],
    'sends JSON byte by byte': [jsonHead('/v1/images', 50_000), ' '],
    'stops in the middle of a form': [`${formHead('/v1/images', 50_000)}${partHead}x`, ''],
  };

  test('closes them in time, and serves other clients meanwhile', async () => {
    const { port } = new URL(server().url);
    const startedAt = performance.now();
    const durations = Object.fromEntries(Object.keys(slowClients).map((name) => [name, [] as number[]]));
    for (const [name, [first, next]] of Object.entries(slowClients)) {
      for (let index = 0; index < 40; index += 1) {
        const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress: '127.0.0.2' });
        socket.on('error', () => undefined).resume();
        socket.write(first);
        const timer = setInterval(() => void (next !== '' && socket.writable && socket.write(next)), 300);
        socket.once('close', () => {
          clearInterval(timer);
          durations[name]?.push(performance.now() - startedAt);
        });
        onTestFinished(() => void socket.destroy());
      }
    }
    const countClosed = () => Object.values(durations).flat().length;
    let served = 0;
    while (countClosed() < 200) {
      expect((await upload(server().url, await jpeg(`meanwhile ${served}`))).status).toBe(201);
      expect((await call(`${server().url}/healthz`)).status).toBe(200);
      served += 1;
      expect(performance.now() - startedAt).toBeLessThan((limitSeconds + 2) * 1_000 * timeScale);
    }
    expect(served).toBeGreaterThan(3);
    expect(Object.values(durations).map(({ length }) => length)).toEqual([40, 40, 40, 40, 40]);
    // Nobody was turned away at once: the limit per address does not count this machine.
    expect(Math.min(...Object.values(durations).flat())).toBeGreaterThan(1_500);
  });
});
