import type { FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { parseApiKey } from '../../services/access/api-key-format.ts';

type Headers = Pick<FastifyRequest, 'headers'>;

const bearer = /^Bearer +(\S+) *$/i;

/** Returns the key of a request. Other kinds of authorization are ignored, because a proxy may have added them. */
export function readKey({ headers }: Headers): string | undefined {
  const [, token] = bearer.exec(headers.authorization ?? '') ?? [];
  return token ?? headers['x-api-key']?.toString();
}

/** Returns the public id in the key of a request, for logs; `undefined` if there is no key, or if it is mistyped. */
export function readKeyId(request: Headers): string | undefined {
  const key = readKey(request);
  return key === undefined ? undefined : parseApiKey(key);
}

/** Explains to a client without a key that its `Authorization` header contains none. Never quotes the header. */
export function explainMissingKey(request: Headers, error: unknown): unknown {
  const isExplained = request.headers.authorization === undefined || readKey(request) !== undefined;
  if (isExplained || !(error instanceof AppError && error.code === 'unauthenticated')) return error;
  return new AppError(
    'unauthenticated',
    'This request needs an API key, but its Authorization header does not have the form "Bearer <key>". Send the key in this form, or in the header "X-Api-Key".',
  );
}

/** Values of `WWW-Authenticate` in responses with the status 401 (RFC 6750). */
export const challenges = {
  missingKey: 'Bearer realm="vitrine"',
  invalidKey: 'Bearer realm="vitrine", error="invalid_token"',
} as const;

/** Returns the value of `WWW-Authenticate` in a response with the status 401. */
export function challengeFor(request: Headers): string {
  return readKey(request) === undefined ? challenges.missingKey : challenges.invalidKey;
}
