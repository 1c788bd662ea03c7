import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { bodyTypeOf, refusesBodies, unsupportedBody } from './unsupported-body.ts';
import { readBy } from './validation.ts';

/** Largest body that is read as a whole. */
export const mostBodyBytes = 2 ** 20;

/**
 * Lets JSON bodies be empty: many clients name the type on every request, also where there is nothing to send. A route
 * that needs a body says so itself.
 */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body === '') done(null, undefined);
    else if (refusesBodies(request) && !isEmptyObject(String(body))) done(unsupportedBody(request));
    else void parse(request, String(body), done);
  });
}

/** What many clients send where they have nothing to say. */
function isEmptyObject(text: string): boolean {
  return /^\s*\{\s*\}\s*$/.test(text);
}

/** The JSON body of a request, read by a schema; no body at all is an empty object. @throws {AppError} */
export function readJsonBody<Schema extends z.ZodType>(
  request: FastifyRequest,
  schema: Schema,
): z.output<Schema> {
  const type = bodyTypeOf(request);
  if (type !== '' && type !== 'application/json') throw unsupportedBody(request);
  // `null` is a body too, and no object.
  return readBy(schema, request.body === undefined ? {} : request.body, 'body');
}
