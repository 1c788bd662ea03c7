import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Progress of the responses on a connection. */
interface Progress {
  /** Pending responses; several if requests are pipelined. */
  responses: number;
  /** When data stopped flowing, in milliseconds of the process clock; `undefined` while it flows. */
  stalledSince: number | undefined;
  checkedAt: number;
  /** Buffered bytes; a change means progress. */
  buffered: number;
}

/** Checks per timeout, so that a stall is detected soon after it. */
const checksPerTimeout = 10;

/**
 * Closes connections whose client has read nothing of a response for `stallMs`, which could otherwise hold resources
 * forever. A change of the buffered bytes counts as progress. Time without buffered bytes does not count, because then the
 * response is still being prepared or the upload is still arriving, and other limits apply.
 */
export function closeStalledResponses(app: FastifyInstance, stallMs: number): void {
  const interval = stallMs / checksPerTimeout;
  const known = new WeakMap<Socket, Progress>();

  app.server.on('request', ({ socket }, response) => {
    const progress = known.get(socket) ?? {
      responses: 0,
      stalledSince: undefined,
      checkedAt: 0,
      buffered: 0,
    };
    known.set(socket, progress);
    progress.responses += 1;
    // Node resets this with its own timeout when the connection becomes idle.
    socket.setTimeout(interval);
    response.once('close', () => (progress.responses -= 1));
  });

  // With a listener for this event, Node no longer closes idle sockets itself. It fires after `interval` without traffic in
  // either direction. Its timer sees what the kernel accepted of a large write, which no stream property exposes.
  app.server.on('timeout', (socket: Socket) => {
    const progress = known.get(socket);
    if (!progress || progress.responses === 0 || socket.writableFinished) {
      socket.destroy();
      return;
    }
    const now = performance.now();
    const isFirstCheck =
      progress.buffered !== socket.writableLength || now - progress.checkedAt > 1.5 * interval;
    if (isFirstCheck) progress.stalledSince = undefined;
    progress.buffered = socket.writableLength;
    progress.checkedAt = now;
    if (progress.buffered > 0) progress.stalledSince ??= now - interval;
    if (progress.stalledSince !== undefined && now - progress.stalledSince >= stallMs) {
      app.log.info(
        { stallMs, buffered: progress.buffered },
        'a client stopped reading a response; closing its connection',
      );
      socket.destroy();
    } else socket.setTimeout(interval);
  });
}
