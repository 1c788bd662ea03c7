import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** Maximum read from a refused body: more than any client sends before it reads the response. */
const maxDrainedBytes = 64 * 2 ** 20;

/** After the response, a client that is still sending has this long before its connection is closed. */
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
  let dropped = 0;
  const drop = (chunk: Buffer) => {
    dropped += chunk.length;
    if (dropped > maximum) resolve(false);
  };
  request.once('end', () => resolve(true));
  request.once('close', () => resolve(request.readableEnded));
  request.on('data', drop);
  request.resume();
  const ended = await promise;
  clearTimeout(timer);
  request.off('data', drop);
  // A client that keeps sending is blocked by a full connection until it is closed.
  if (!ended) request.pause();
  return ended;
}

/**
 * Closes connections whose body is still arriving when the request has been answered: a call without a body would
 * otherwise read one without end.
 */
export function closeUnreadBodies(app: FastifyInstance): void {
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete) closeUnlessComplete(request.raw);
    done();
  });
}

/** The client may be about to finish, and gets a moment to read the response. */
function closeUnlessComplete(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
