import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Maximum bytes read from a rejected body. Clients send less than this before they read the response. */
const maxDrainedBytes = 64 * 2 ** 20;

/** How long a client may continue sending after the response before its connection is closed. */
const lingerMs = 500;

/**
 * Reads and discards the rest of a body, for at most `milliseconds` and `maximum` bytes. Returns whether the whole body
 * was read. If the connection closed while the client was still sending, the client would get a reset instead of the
 * response.
 */
export async function drainBody(
  request: IncomingMessage,
  milliseconds: number,
  maximum = maxDrainedBytes,
): Promise<boolean> {
  if (request.readableEnded || request.complete) return true;
  if (request.destroyed) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  let discarded = 0;
  const discard = (chunk: Buffer) => {
    discarded += chunk.length;
    if (discarded > maximum) resolve(false);
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
 * Closes a connection if its request body is still incomplete after the response; the client could keep sending
 * forever.
 */
export function closeUnreadBodies(app: FastifyInstance): void {
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete) closeUnlessComplete(request.raw);
    done();
  });
}

/** Gives the client a moment to finish sending and to read the response. */
function closeUnlessComplete(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
