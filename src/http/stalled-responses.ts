import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** What is known of a connection that has responses under way. */
interface Progress {
  /** Responses that are not over; several when requests are pipelined. */
  responses: number;
  /** Since when nothing went out, in milliseconds of the process; `undefined` while it flows. */
  quietSince: number | undefined;
  checkedAt: number;
  /** Bytes that wait for the client; other figures mean progress. */
  waiting: number;
}

/** A stall is seen this many times before the connection is closed, so that it is noticed soon after its time is over. */
const checks = 10;

/**
 * Closes connections whose client has not read anything of a response for `stallMs`; what such clients hold would
 * otherwise be held for good. Progress is what the system takes of the bytes that wait. Time in which nothing waits, since
 * the answer is still being made, or its upload still comes, does not count: other limits see to that.
 */
export function closeStalledResponses(app: FastifyInstance, stallMs: number): void {
  const interval = stallMs / checks;
  const known = new WeakMap<Socket, Progress>();

  app.server.on('request', ({ socket }, response) => {
    const progress = known.get(socket) ?? { responses: 0, quietSince: undefined, checkedAt: 0, waiting: 0 };
    known.set(socket, progress);
    progress.responses += 1;
    // Node ends this by a timeout of its own when the connection falls idle.
    socket.setTimeout(interval);
    response.once('close', () => (progress.responses -= 1));
  });

  // With a listener, Node leaves it to that to close sockets, idle ones too. The event comes after `interval` without
  // any bytes either way: its clock looks at what the system has taken of a large write, which no stream shows.
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
