import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { isKnownCharset, unknownCharset } from '../text/charset.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `true`: a body is refused on routes that declare none in `schema.bodies`. */
    readonly rejectsUndeclaredBodies?: true;
  }
}

/** Refuses bodies on all routes registered later on `app` that do not declare one. */
export function rejectUndeclaredBodies(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, rejectsUndeclaredBodies: true };
  });
}

/** Whether a body of this request must be refused. Dialects ignore undeclared bodies, as their clients send them. */
export function mustRejectBody({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.schema?.bodies === undefined && routeOptions.config.rejectsUndeclaredBodies === true;
}

/** Returns the media type of a request body without parameters; empty if the request has none. */
export function readBodyType(request: FastifyRequest): string {
  return parseHeaderParameters(request.headers['content-type'] ?? '').value;
}

/** Returns the declared charset of a request body, if any; an error if it is unknown. */
export function readCharset(request: FastifyRequest): string | undefined | AppError {
  const { parameters } = parseHeaderParameters(request.headers['content-type'] ?? '');
  const charset = parameters.get('charset')?.trim() || undefined;
  if (charset === undefined || isKnownCharset(charset)) return charset;
  return new AppError('unsupported_body', `The body ${unknownCharset(charset)}.`);
}

/** Returns the error for a body of the wrong type; it lists the types that the call accepts. */
export function unsupportedBody(request: FastifyRequest): AppError {
  const type = readBodyType(request).slice(0, 60);
  const actual = type === '' ? '(no type was given)' : `(it is ${type})`;
  const types = Object.keys(request.routeOptions.schema?.bodies ?? {});
  if (types.length === 0)
    return new AppError('unsupported_body', `This call takes no body; send none ${actual}.`);
  const accepted = types.map((accepted) =>
    accepted === 'multipart/form-data' ? `${accepted} with a file in the field "file"` : accepted,
  );
  return new AppError('unsupported_body', `The body must be ${accepted.join(' or ')} ${actual}.`);
}
