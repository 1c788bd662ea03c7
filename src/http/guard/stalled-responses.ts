import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';

/** Progress of the responses on a connection. */
interface ResponseProgress {
  /** Number of responses in progress. There can be several if requests are pipelined. */
  pendingResponses: number;
  /** When data stopped flowing, in milliseconds of the monotonic clock. `undefined` while data flows. */
  stalledSince: number | undefined;
  checkedAt: number;
  /** Bytes in the send buffer at the last check. A change means progress. */
  bufferedBytes: number;
}

/** Number of checks per timeout. With more checks, a stall is detected sooner after the timeout. */
const checksPerTimeout = 10;

/**
 * Closes connections whose client has not read any response data for `stallMs`. Without a limit, a client could hold
 * resources forever. A change in the number of buffered bytes counts as progress. Time without buffered bytes does not
 * count as a stall, because the response is still being prepared or the upload is still arriving. Other limits apply in
 * these cases.
 */
export function closeStalledResponses(app: FastifyInstance, stallMs: number): void {
  const intervalMs = stallMs / checksPerTimeout;
  const progressBySocket = new WeakMap<Socket, ResponseProgress>();

  app.server.on('request', ({ socket }, response) => {
    const progress = progressBySocket.get(socket) ?? {
      pendingResponses: 0,
      stalledSince: undefined,
      checkedAt: 0,
      bufferedBytes: 0,
    };
    progressBySocket.set(socket, progress);
    progress.pendingResponses += 1;
    // When the connection becomes idle, Node replaces this timeout with its own.
    socket.setTimeout(intervalMs);
    response.once('close', () => (progress.pendingResponses -= 1));
  });

  // The event fires after `intervalMs` without traffic in either direction. Data that the kernel accepts from a large
  // write counts as traffic, although no stream property reflects it. Because of this listener, Node no longer closes
  // idle sockets itself.
  app.server.on('timeout', (socket: Socket) => {
    const progress = progressBySocket.get(socket);
    if (!progress || progress.pendingResponses === 0 || socket.writableFinished) {
      socket.destroy();
      return;
    }
    const now = performance.now();
    const hasProgressed =
      progress.bufferedBytes !== socket.writableLength || now - progress.checkedAt > 1.5 * intervalMs;
    if (hasProgressed) progress.stalledSince = undefined;
    progress.bufferedBytes = socket.writableLength;
    progress.checkedAt = now;
    if (progress.bufferedBytes > 0) progress.stalledSince ??= now - intervalMs;
    if (progress.stalledSince !== undefined && now - progress.stalledSince >= stallMs) {
      app.log.info(
        { stallMs, buffered: progress.bufferedBytes },
        'a client stopped reading a response; closing its connection',
      );
      socket.destroy();
    } else socket.setTimeout(intervalMs);
  });
}
