import type * as Net from 'node:net';
import { expect, test, vi } from 'vitest';
import { waitUntilAllClosed, catchDownloadError, makeTestFetcher } from './support/test-fetcher.ts';
import { serve } from './support/origin.ts';

/** Simulates a network layer that connects a socket to a different address than the one that was checked. */
vi.mock('node:net', async (importOriginal) => {
  const net = await importOriginal<typeof Net>();
  const connectToWrongAddress = (to: Net.TcpNetConnectOpts) => net.connect({ ...to, host: '127.0.0.2' });
  return { ...net, connect: connectToWrongAddress };
});

test('closes the socket without sending anything if it is connected to an address that was not checked', async () => {
  let requests = 0;
  const server = await serve((_request, response) => {
    requests += 1;
    response.end();
  }, '127.0.0.2');
  const { code, message } = await catchDownloadError(makeTestFetcher(), `http://127.0.0.1:${server.port}/`);
  expect([code, message]).toEqual([
    'address_not_allowed',
    expect.stringMatching(/^The address 127\.0\.0\.1:\d+ is not allowed: /),
  ]);
  await waitUntilAllClosed(server);
  expect([server.countConnections(), requests]).toEqual([1, 0]);
  await server.close();
});
