import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A TCP proxy on loopback that can fail on demand. */
export interface TcpProxy {
  readonly port: number;
  /** Drops all further bytes in both directions, but keeps the connections open. */
  readonly blackhole: () => void;
  /** Closes all connections and stops accepting connections. */
  stop(): Promise<void>;
  /** Accepts connections and forwards bytes again. */
  resume(): Promise<void>;
}

/** Starts a proxy to `target` for one test. */
export async function startTcpProxy(target: {
  readonly host: string;
  readonly port: number;
}): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  let dropsBytes = false;
  const server = createServer((client) => {
    const upstream = connect(target.port, target.host);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(from);
      from.on('data', (chunk) => {
        if (!dropsBytes) to.write(chunk);
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        if (!dropsBytes) to.destroy();
      });
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  async function stop(): Promise<void> {
    if (!server.listening) return;
    server.close();
    for (const socket of sockets) socket.destroy();
    await once(server, 'close');
  }
  onTestFinished(stop);

  return {
    port,
    blackhole: () => (dropsBytes = true),
    stop,
    async resume() {
      dropsBytes = false;
      if (server.listening) return;
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
  };
}
