import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../../errors.ts';
import { decodeText } from '../text/charset.ts';
import { isDeeperThan } from '../text/json-depth.ts';
import { bodyTypeOf, charsetOf, refusesBodies, unsupportedBody } from './body-type.ts';
import { readBy } from '../fields/validation.ts';

/** Largest body that is read as a whole. */
export const maxBodyBytes = 2 ** 20;

/** Nesting depth: no call needs more than four. Recursive code would exhaust the stack. */
const maxDepth = 32;

/**
 * Lets JSON bodies be empty: many clients name the type on every request, also where there is nothing to send. A route
 * that needs a body says so itself.
 */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const text = readJsonText(request, Buffer.from(body));
    if (text instanceof AppError) done(text);
    else if (text === '') done(null, undefined);
    else if (refusesBodies(request) && !isEmptyObject(text)) done(unsupportedBody(request));
    else void parse(request, text, done);
  });
}

/** The text of a JSON body that may be parsed. JSON is UTF-8 (RFC 8259 §8.1); any other charset must be declared. */
function readJsonText(request: FastifyRequest, body: Buffer): string | AppError {
  const charset = charsetOf(request);
  if (charset instanceof AppError) return charset;
  const decoded = decodeText(body, charset);
  if ('fault' in decoded) return new AppError('invalid_request', `The body ${decoded.fault}.`);
  if (!isDeeperThan(decoded.text, maxDepth)) return decoded.text;
  return new AppError(
    'invalid_request',
    `The JSON has more than ${maxDepth} arrays and objects in each other; that is the limit.`,
  );
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
