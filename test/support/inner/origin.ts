import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';

/** What an origin answers on one path: a file, or a status. */
type Answer = Buffer | number;

/** A web server on loopback that pictures are imported from. */
export interface Origin {
  /** Answers `path` from now on, and gives its address. */
  put(path: string, answer: Answer): string;
  /** How often a path was asked for. */
  asked(path: string): number;
  close(): Promise<void>;
}

/** An origin for one test; a path that it does not know is answered 404. */
export async function startOrigin(): Promise<Origin> {
  const answers = new Map<string, Answer>();
  const asked = new Map<string, number>();

  function answer({ url: path = '' }: IncomingMessage, response: ServerResponse): void {
    asked.set(path, (asked.get(path) ?? 0) + 1);
    const found = answers.get(path) ?? 404;
    if (typeof found === 'number') response.writeHead(found).end('no picture');
    else response.writeHead(200, { 'content-type': 'image/jpeg' }).end(found);
  }

  const server = createServer(answer);
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
    put(path, given) {
      answers.set(path, given);
      return `http://127.0.0.1:${port}${path}`;
    },
    asked: (path) => asked.get(path) ?? 0,
    close,
  };
}
