import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Maximum bytes read from a refused body: more than clients send before they read the response. */
const maxDrainedBytes = 64 * 2 ** 20;

/** How long a client may continue to send after the response before its connection is closed. */
const lingerMs = 500;

/**
 * Reads and discards the rest of a body, for `milliseconds` and up to `maximum` bytes; returns whether it was complete.
 * A client that is still sending when the connection closes would get a reset instead of the response.
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
  // Backpressure then stops a client that keeps sending, until the connection is closed.
  if (!isComplete) request.pause();
  return isComplete;
}

/** Closes connections that still receive a body after the response. Otherwise a client could send forever. */
export function closeUnreadBodies(app: FastifyInstance): void {
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete) closeUnlessComplete(request.raw);
    done();
  });
}

/** Gives the client a moment to finish and to read the response. */
function closeUnlessComplete(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
