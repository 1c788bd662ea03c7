import type { FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { isKnownCharset, unknownCharset } from '../text/charset.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';

/** Media type of a request's body, without its parameters; empty without a body's type. */
export function bodyTypeOf(request: FastifyRequest): string {
  return parseHeaderParameters(request.headers['content-type'] ?? '').value;
}

/** The declared charset of a request body, if any; throws if it is unknown. */
export function charsetOf(request: FastifyRequest): string | undefined | AppError {
  const { parameters } = parseHeaderParameters(request.headers['content-type'] ?? '');
  const charset = parameters.get('charset')?.trim() || undefined;
  if (charset === undefined || isKnownCharset(charset)) return charset;
  return new AppError('unsupported_body', `The body ${unknownCharset(charset)}.`);
}

/** Whether a call takes no body at all. Dialects let such a body pass: their clients are older than this rule. */
export function refusesBodies(request: FastifyRequest): boolean {
  return (
    request.routeOptions.schema?.takes === undefined && (request.routeOptions.url ?? '').startsWith('/v1/')
  );
}

/** The refusal of a body by its type: says which ones the call takes. */
export function unsupportedBody(request: FastifyRequest): AppError {
  const given = `(it is ${bodyTypeOf(request).slice(0, 60) || 'of no type'})`;
  const types = Object.keys(request.routeOptions.schema?.takes ?? {});
  if (types.length === 0)
    return new AppError('unsupported_body', `This call takes no body; send none ${given}.`);
  const named = types.map((type) =>
    type === 'multipart/form-data' ? `${type} with a file in the field "file"` : type,
  );
  return new AppError('unsupported_body', `The body must be ${named.join(' or ')} ${given}.`);
}
