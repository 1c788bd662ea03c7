import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/**
 * Maximum number of bytes to read from a rejected body. Most clients read the response before they have sent this much.
 */
const maxDrainedBytes = 64 * 2 ** 20;

/** A body of at most this declared size costs less to discard than a new connection. */
const maxSmallBodyBytes = 64 * 1024;

/** Whether a request has no body, or a small one. Node discards what has not been read of it after the response. */
export function hasSmallBody({ headers, complete }: IncomingMessage): boolean {
  return complete || Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) <= maxSmallBodyBytes;
}

/**
 * Streams a response to a request whose body is not needed. The client gets the whole response at once, but the connection
 * stays open until the client has stopped sending, for at most `lingerMs`. If it were closed earlier, the client might get a
 * connection reset instead of the response.
 */
export async function* lingerAfter(
  response: string | Buffer,
  request: IncomingMessage,
): AsyncGenerator<string | Buffer> {
  yield response;
  await drainBody(request, lingerMs);
}

/** How long a client may continue to send after the response. Then its connection is closed. */
const lingerMs = 500;

/**
 * Reads and discards the rest of a body, for at most `timeoutMs` and up to `maxBytes`. Returns whether the whole body
 * was read. If the connection were closed while the client was still sending, the client would get a connection reset
 * instead of the response.
 */
export async function drainBody(
  request: IncomingMessage,
  timeoutMs: number,
  maxBytes = maxDrainedBytes,
): Promise<boolean> {
  if (request.readableEnded || request.complete) return true;
  if (request.destroyed) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), timeoutMs);
  let discardedBytes = 0;
  const discard = (chunk: Buffer) => {
    discardedBytes += chunk.length;
    if (discardedBytes > maxBytes) resolve(false);
  };
  request.once('end', () => resolve(true));
  request.once('close', () => resolve(request.readableEnded));
  request.on('data', discard);
  request.resume();
  const isComplete = await promise;
  clearTimeout(timer);
  request.off('data', discard);
  // Until the connection is closed, backpressure stops a client that keeps sending.
  if (!isComplete) request.pause();
  return isComplete;
}

/**
 * Closes connections whose request body is still incomplete after the response, because the client could keep sending
 * forever.
 */
export function closeUnreadBodies(app: FastifyInstance): void {
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete) closeUnlessComplete(request.raw);
    done();
  });
}

/** Closes the connection after a short delay, unless the client has finished sending by then. */
function closeUnlessComplete(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
