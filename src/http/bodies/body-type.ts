import type { FastifyInstance, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { isKnownCharset, describeUnknownCharset } from '../text/charset.ts';
import { parseHeaderParameters } from '../text/header-parameters.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether the route rejects all bodies if `schema.bodies` is not set. */
    readonly rejectsUndeclaredBodies?: true;
  }
}

/** Makes all routes that are added to `app` after this call reject undeclared bodies. */
export function rejectUndeclaredBodies(app: FastifyInstance): void {
  app.addHook('onRoute', (route) => {
    route.config = { ...route.config, rejectsUndeclaredBodies: true };
  });
}

/**
 * Whether a request must not have a body. The dialects, which are the APIs of two older services, ignore undeclared
 * bodies, because some clients of those services send them.
 */
export function mustRejectBody({ routeOptions }: FastifyRequest): boolean {
  return routeOptions.schema?.bodies === undefined && routeOptions.config.rejectsUndeclaredBodies === true;
}

/** Returns the media type of a request body without parameters, or an empty string if no type is declared. */
export function readBodyType(request: FastifyRequest): string {
  return parseHeaderParameters(request.headers['content-type'] ?? '').value;
}

/** Returns the declared charset of a request body. Returns an error if the charset is unknown. */
export function readCharset(request: FastifyRequest): string | undefined | AppError {
  const { parameters } = parseHeaderParameters(request.headers['content-type'] ?? '');
  const charset = parameters.get('charset')?.trim() || undefined;
  if (charset === undefined || isKnownCharset(charset)) return charset;
  return new AppError('unsupported_body', `The body ${describeUnknownCharset(charset)}.`);
}

/** Returns the error for a body of the wrong type. Its message lists the types that the endpoint accepts. */
export function unsupportedBodyError(request: FastifyRequest): AppError {
  const type = readBodyType(request).slice(0, 60);
  const received = type === '' ? '(received a body without Content-Type)' : `(received ${type})`;
  const types = Object.keys(request.routeOptions.schema?.bodies ?? {});
  if (types.length === 0)
    return new AppError('unsupported_body', `This endpoint does not accept a body ${received}.`);
  const acceptedTypes = types.map((mediaType) =>
    mediaType === 'multipart/form-data' ? `${mediaType} with a file in the field "file"` : mediaType,
  );
  return new AppError('unsupported_body', `The body must be ${acceptedTypes.join(' or ')} ${received}.`);
}
