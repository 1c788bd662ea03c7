import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** State of a connection with pending responses. */
interface Progress {
  /** Pending responses; several if requests are pipelined. */
  responses: number;
  /** Time since nothing was sent, on the process clock in milliseconds; `undefined` while data flows. */
  quietSince: number | undefined;
  checkedAt: number;
  /** Bytes waiting for the client; a change means progress. */
  waiting: number;
}

/** Number of checks per stall period, so that a stall is detected soon after the timeout. */
const checks = 10;

/**
 * Closes connections whose client has not read any of a response for `stallMs`, and would otherwise hold resources
 * indefinitely. Progress is measured by the waiting bytes that the system accepts. Time with nothing waiting, while the
 * response is being prepared or its upload is still arriving, does not count: other limits apply there.
 */
export function closeStalledResponses(app: FastifyInstance, stallMs: number): void {
  const interval = stallMs / checks;
  const known = new WeakMap<Socket, Progress>();

  app.server.on('request', ({ socket }, response) => {
    const progress = known.get(socket) ?? { responses: 0, quietSince: undefined, checkedAt: 0, waiting: 0 };
    known.set(socket, progress);
    progress.responses += 1;
    // Node resets this with its own timeout when the connection becomes idle.
    socket.setTimeout(interval);
    response.once('close', () => (progress.responses -= 1));
  });

  // With a listener, Node leaves closing sockets to it, idle ones included. The event fires after `interval` without
  // bytes in either direction: its timer follows what the system has accepted of a large write, which no stream
  // exposes.
  app.server.on('timeout', (socket: Socket) => {
    const progress = known.get(socket);
    if (!progress || progress.responses === 0 || socket.writableFinished) {
      socket.destroy();
      return;
    }
    const now = performance.now();
    const isFirst = progress.waiting !== socket.writableLength || now - progress.checkedAt > 1.5 * interval;
    if (isFirst) progress.quietSince = undefined;
    progress.waiting = socket.writableLength;
    progress.checkedAt = now;
    if (progress.waiting > 0) progress.quietSince ??= now - interval;
    if (progress.quietSince !== undefined && now - progress.quietSince >= stallMs) {
      app.log.info(
        { stallMs, waiting: progress.waiting },
        'a client read nothing of a response; closing its connection',
      );
      socket.destroy();
    } else socket.setTimeout(interval);
  });
}
