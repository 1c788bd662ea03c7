import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, createServer, type Server as TcpServer } from 'node:net';

/** A server on loopback. */
interface ListeningServer {
  readonly port: number;
  /** Total number of connections. */
  countConnections(): number;
  /** Number of open connections. */
  countOpenConnections(): Promise<number>;
  close(): Promise<void>;
}

/** Starts an HTTP server on `host`. */
export function serve(listener: RequestListener, host = '127.0.0.1'): Promise<ListeningServer> {
  return listen(createHttpServer({ keepAliveTimeout: 60_000 }, listener), host);
}

/** Starts a server that sends `greeting`, if given, on every connection and keeps the connection open. */
export function serveRaw(greeting = '', host = '127.0.0.1'): Promise<ListeningServer> {
  const server = createServer((socket) => {
    // The data must be read, or the socket would never report the end of the connection.
    socket.on('error', () => {}).resume();
    if (greeting) socket.write(greeting);
  });
  return listen(server, host);
}

/** Starts a server that sends `pieces` after the first bytes of each connection, and then closes the connection. */
export function serveResponse(
  pieces: readonly (string | Buffer)[],
  host = '127.0.0.1',
): Promise<ListeningServer> {
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .once('data', () => {
        for (const piece of pieces) socket.write(piece);
        socket.end();
      });
  });
  return listen(server, host);
}

/** Starts `server` on a free port of `host`. */
export async function listen(server: Server | TcpServer, host = '127.0.0.1'): Promise<ListeningServer> {
  let connectionCount = 0;
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket) => {
    connectionCount += 1;
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    countConnections: () => connectionCount,
    countOpenConnections: () =>
      new Promise((resolve) => server.getConnections((_error, count) => resolve(count))),
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
