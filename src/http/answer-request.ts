import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';

/**
 * Answers one request of a server that is not ours, for hosts that call a function with each request. Resolves when
 * the answer was sent, or the connection is gone.
 */
export async function answerRequest(
  app: FastifyInstance,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  await app.ready();
  const over = Promise.withResolvers<void>();
  response.once('close', over.resolve).once('finish', over.resolve);
  app.routing(request, response);
  await over.promise;
}
