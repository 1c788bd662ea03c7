import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** The response for a path, given as the bytes of a picture or as an error status. */
type Reply = Buffer | number;

/** A web server on loopback from which tests import pictures. */
export interface Origin {
  /** Sets the response for `path`. Returns the URL. */
  put(path: string, reply: Reply): string;
  /** Returns the number of requests for `path`. */
  requestCount(path: string): number;
  close(): Promise<void>;
}

/** Starts an origin for one test. It returns 404 for unknown paths. */
export async function startOrigin(): Promise<Origin> {
  const replies = new Map<string, Reply>();
  const requestCounts = new Map<string, number>();

  function handle({ url: path = '' }: IncomingMessage, response: ServerResponse): void {
    requestCounts.set(path, (requestCounts.get(path) ?? 0) + 1);
    const reply = replies.get(path) ?? 404;
    if (typeof reply === 'number') response.writeHead(reply).end('no picture');
    else response.writeHead(200, { 'content-type': 'image/jpeg' }).end(reply);
  }

  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function close(): Promise<void> {
    if (!server.listening) return;
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  }
  onTestFinished(close);

  return {
    put(path, reply) {
      replies.set(path, reply);
      return `http://127.0.0.1:${port}${path}`;
    },
    requestCount: (path) => requestCounts.get(path) ?? 0,
    close,
  };
}
