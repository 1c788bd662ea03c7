import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { drainBody } from '../../src/http/bodies/drain-body.ts';
import { chunk, connectRaw } from '../support/process/socket.ts';

/**
 * Starts a server that drains (reads and discards) each request body up to the given limits, and reports whether the whole
 * body was drained.
 */
async function startDrainingServer(milliseconds: number, maxBytes?: number): Promise<string> {
  const server = createServer((request, response) => {
    void drainBody(request, milliseconds, maxBytes).then((isDrained) =>
      response.end(`drained: ${isDrained}`),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const requestHead = 'POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n';

test('drains a body to its end', async () => {
  const response = await fetch(await startDrainingServer(5_000), {
    method: 'POST',
    body: Buffer.alloc(1_000_000),
  });
  expect(await response.text()).toBe('drained: true');
});

test('stops draining an endless body at the byte limit', async () => {
  const connection = await connectRaw(await startDrainingServer(60_000, 2 ** 20));
  await connection.write(requestHead);
  void connection.write(chunk(Buffer.alloc(2 ** 20 + 1)));
  expect(await connection.until(/drained/)).toContain('drained: false');
  connection.socket.destroy();
});

test('stops draining a stalled body at the time limit', async () => {
  const connection = await connectRaw(await startDrainingServer(50));
  await connection.write(requestHead + String(chunk('x')));
  expect(await connection.until(/drained/)).toContain('drained: false');
  connection.socket.destroy();
});
