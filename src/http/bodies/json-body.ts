import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { z } from 'zod';
import { AppError } from '../../errors.ts';
import { parseWith } from '../fields/validation.ts';
import { decodeText } from '../text/charset.ts';
import { readBodyType, readCharset, mustRejectBody, unsupportedBodyError } from './body-type.ts';

/** Maximum size of a body that is read into memory. */
export const maxBodyBytes = 2 ** 20;

/** Maximum nesting depth. No endpoint needs more than four levels, and deep nesting can exhaust the stack. */
const maxDepth = 32;

/**
 * Parses JSON bodies. An empty body is allowed, because many clients send `Content-Type: application/json` even without
 * a body. Each route must check whether a required body is present.
 */
export function acceptJson(app: FastifyInstance): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    const text = readJsonText(request, Buffer.from(body));
    if (text instanceof AppError) done(text);
    else if (text === '') done(null, undefined);
    else if (mustRejectBody(request) && !isEmptyObject(text)) done(unsupportedBodyError(request));
    else void parse(request, text, done);
  });
}

/**
 * Returns the text of a JSON body, or an error if the body cannot be decoded or is nested too deeply. The body is
 * UTF-8 (RFC 8259 §8.1) unless the request declares a different charset.
 */
function readJsonText(request: FastifyRequest, body: Buffer): string | AppError {
  const charset = readCharset(request);
  if (charset instanceof AppError) return charset;
  const decoded = decodeText(body, charset);
  if ('problem' in decoded) return new AppError('invalid_request', `The body ${decoded.problem}.`);
  if (!isDeeperThan(decoded.text, maxDepth)) return decoded.text;
  return new AppError(
    'invalid_request',
    `The JSON nests arrays and objects more than ${maxDepth} levels deep.`,
  );
}

const quote = '"'.charCodeAt(0);
const backslash = '\\'.charCodeAt(0);
const openingCodes = new Set(['[', '{'].map((char) => char.charCodeAt(0)));
const closingCodes = new Set([']', '}'].map((char) => char.charCodeAt(0)));

/**
 * Whether arrays and objects in a JSON text are nested deeper than `maximum`. Scans the text once without allocating
 * memory.
 */
export function isDeeperThan(json: string, maximum: number): boolean {
  let depth = 0;
  let isInString = false;
  for (let index = 0; index < json.length; index += 1) {
    const code = json.charCodeAt(index);
    if (isInString) {
      if (code === backslash) index += 1;
      else if (code === quote) isInString = false;
    } else if (code === quote) isInString = true;
    else if (openingCodes.has(code)) {
      depth += 1;
      if (depth > maximum) return true;
    } else if (closingCodes.has(code)) depth -= 1;
  }
  return false;
}

/** Whether JSON text is `{}`, which many clients send to endpoints that accept no body. */
function isEmptyObject(text: string): boolean {
  return /^\s*\{\s*\}\s*$/.test(text);
}

/** Parses a request's JSON body with a schema. A missing body counts as `{}`. @throws {AppError} */
export function readJsonBody<Schema extends z.ZodType>(
  request: FastifyRequest,
  schema: Schema,
): z.output<Schema> {
  const type = readBodyType(request);
  if (type !== '' && type !== 'application/json') throw unsupportedBodyError(request);
  // `??` would also replace `null`, but a body of `null` must be rejected.
  return parseWith(schema, request.body === undefined ? {} : request.body, 'body');
}
