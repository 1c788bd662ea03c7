import type { IncomingMessage } from 'node:http';
import type { FastifyInstance } from 'fastify';

/** What is read of a refused body at most: more than any client sends before it reads the answer. */
const mostDrainedBytes = 64 * 2 ** 20;

/** After the answer, a client that still sends has this long before its connection is closed. */
const lingerMs = 500;

/**
 * Reads and drops what is left of a body, for `milliseconds` and up to `maximum` bytes; answers whether all of it came. A
 * client that is still sending when the answer comes and the connection closes would see a reset and never the answer.
 */
export async function drainBody(
  request: IncomingMessage,
  milliseconds: number,
  maximum = mostDrainedBytes,
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
  // Whoever sends on meets a full connection until it is closed.
  if (!ended) request.pause();
  return ended;
}

/**
 * Closes connections whose body is still coming when the request has been answered: a call that takes no body would else
 * read one without end.
 */
export function closeUnreadBodies(app: FastifyInstance): void {
  app.addHook('onResponse', (request, _reply, done) => {
    if (!request.raw.complete) closeUnlessComplete(request.raw);
    done();
  });
}

/** Its sender may be about to end, and gets a moment for the answer. */
function closeUnlessComplete(request: IncomingMessage): void {
  setTimeout(() => {
    if (!request.complete) request.destroy();
  }, lingerMs).unref();
}
