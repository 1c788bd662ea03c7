import { Agent, request } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import Fastify from 'fastify';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  makeAddressTest,
  toAddressKey,
  type AddressTest,
  limitConnectionsPerAddress,
} from '../../src/http/guard/connections-per-address.ts';
import { handleErrors } from '../../src/http/responses/problems.ts';
import { call } from '../support/process/client.ts';
import { useServer } from '../support/process/server.ts';

/** Starts a server that also limits loopback connections, because the test clients connect from loopback addresses. */
async function startLimitedServer(maxConnections: number, isExemptFromLimit: AddressTest = () => false) {
  const app = Fastify();
  limitConnectionsPerAddress(app, { maxConnections, isExemptFromLimit });
  handleErrors(app);
  app.get('/', () => 'hello');
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  const sockets: { destroy(): void }[] = [];
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await app.close();
  });

  /** Sends a request and keeps the connection open. Returns the response or the connection's error code. */
  function connectFrom(
    localAddress: string,
  ): Promise<{ status: number | string; body: string; close: () => Promise<void> }> {
    return new Promise((resolve) => {
      const outgoing = request({
        port,
        host: '127.0.0.1',
        localAddress,
        agent: new Agent({ keepAlive: true }),
      });
      outgoing.once('error', (error: NodeJS.ErrnoException) =>
        resolve({ status: error.code ?? '', body: '', close: async () => {} }),
      );
      outgoing.once('response', (response) => {
        const { socket, statusCode = 0 } = response;
        sockets.push(socket);
        const close = () =>
          new Promise<void>((resolveClosed) => {
            socket.once('close', () => resolveClosed()).destroy();
          });
        let body = '';
        response.on('data', (chunk) => (body += String(chunk)));
        response.once('end', () => resolve({ status: statusCode, body, close }));
      });
      outgoing.end();
    });
  }
  return { app, port, connectFrom };
}

const countOpenConnections = (app: {
  server: { getConnections(callback: (error: unknown, count: number) => void): void };
}) => new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)));

describe('connections per address', () => {
  test('are limited, and closed connections no longer count', async () => {
    const { app, connectFrom } = await startLimitedServer(3);
    const connections = [
      await connectFrom('127.0.0.2'),
      await connectFrom('127.0.0.2'),
      await connectFrom('127.0.0.2'),
    ];
    expect(connections.map(({ status }) => status)).toEqual([200, 200, 200]);
    const rejectedConnection = await connectFrom('127.0.0.2');
    expect(rejectedConnection.status).toBe(429);
    expect(JSON.parse(rejectedConnection.body)).toMatchObject({
      code: 'too_many_connections',
      detail: expect.stringContaining('more than 3 open connections'),
    });
    expect((await connectFrom('127.0.0.3')).status).toBe(200);
    await connections[0]?.close();
    await expect.poll(() => countOpenConnections(app), { interval: 10 }).toBe(3);
    expect((await connectFrom('127.0.0.2')).status).toBe(200);
    expect((await connectFrom('127.0.0.2')).status).toBe(429);
  });

  test('are closed without a response if their number far exceeds the limit', async () => {
    const { app, port } = await startLimitedServer(1);
    // The clients send nothing. Otherwise, the server would close connections before the last client connects.
    const sockets = Array.from({ length: 30 }, () =>
      connect({ port, host: '127.0.0.1', localAddress: '127.0.0.4' }),
    );
    for (const socket of sockets) socket.on('error', () => {}).resume();
    const countClosed = () => sockets.filter((socket) => socket.closed).length;
    await expect.poll(countClosed, { interval: 10 }).toBe(30 - 1 - 16);
    expect(await countOpenConnections(app)).toBe(1 + 16);
    for (const socket of sockets) socket.destroy();
    await expect.poll(() => countOpenConnections(app), { interval: 10 }).toBe(0);
  });

  test('are not limited for trusted proxies', async () => {
    const { connectFrom } = await startLimitedServer(1, makeAddressTest(['127.0.0.5/32']));
    expect([(await connectFrom('127.0.0.5')).status, (await connectFrom('127.0.0.5')).status]).toEqual([
      200, 200,
    ]);
    expect([(await connectFrom('127.0.0.6')).status, (await connectFrom('127.0.0.6')).status]).toEqual([
      200, 429,
    ]);
  });
});

describe('a running server', () => {
  const server = useServer({ MAX_CONNECTIONS_PER_ADDRESS: '1' });

  test('does not count loopback connections', async () => {
    const responses = await Promise.all(Array.from({ length: 5 }, () => call(`${server().url}/healthz`)));
    expect(responses.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
  });
});

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['::ffff:203.0.113.9', '203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8:1:3::1', '2001:db8:1:3::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('counts connections from %s towards the limit for %s', (address, limitedAddress) => {
  expect(toAddressKey(address)).toBe(limitedAddress);
});

test('matches addresses in IPv4 and IPv6 networks', () => {
  const isProxy = makeAddressTest(['10.1.0.0/16', 'fd00::/8', '192.0.2.7/32']);
  const matches = ['10.1.2.3', '::ffff:10.1.2.3', 'fd12::1', '192.0.2.7'].map(isProxy);
  expect(matches).toEqual([true, true, true, true]);
  expect(['10.2.0.1', '192.0.2.8', '::1', '2001:db8::1'].map(isProxy)).toEqual([false, false, false, false]);
});
