import type { IncomingMessage } from 'node:http';

/**
 * Reads and drops what is left of a body, for `milliseconds` at most; answers whether all of it came. A client that is
 * still sending when the answer comes and the connection closes would see a reset and never the answer.
 */
export async function drainBody(request: IncomingMessage, milliseconds: number): Promise<boolean> {
  if (request.readableEnded || request.complete) return true;
  if (request.destroyed) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => resolve(false), milliseconds);
  request.once('end', () => resolve(true));
  request.once('close', () => resolve(request.readableEnded));
  request.resume();
  const ended = await promise;
  clearTimeout(timer);
  return ended;
}
