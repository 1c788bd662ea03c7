import type { FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { parseApiKey } from '../../services/access/api-key-format.ts';
import { howToSend } from '../../services/access/authenticate.ts';

type Headers = Pick<FastifyRequest, 'headers'>;
type RequestHead = Pick<FastifyRequest, 'headers' | 'raw'>;

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

/** Explains to a client that was not authenticated what is wrong with its request. Never quotes the request. */
export function explainUnauthenticated(request: RequestHead, error: unknown): unknown {
  if (!(error instanceof AppError && error.code === 'unauthenticated')) return error;
  const explanation =
    readKey(request) === undefined ? explainMissingKey(request) : explainInvalidKey(request);
  return explanation === undefined ? error : new AppError('unauthenticated', explanation);
}

function explainMissingKey({ headers, raw }: RequestHead): string | undefined {
  if (hasKeyInQuery(raw.url ?? ''))
    return `This request needs an API key, and keys in the URL are ignored. The one in this URL may be in logs now: revoke it. ${howToSend}.`;
  if (headers.authorization === undefined) return undefined;
  return 'This request needs an API key, but its Authorization header does not have the form "Bearer <key>". Send the key in this form, or in the header "X-Api-Key".';
}

function explainInvalidKey({ headers }: RequestHead): string | undefined {
  const [, token] = bearer.exec(headers['x-api-key']?.toString() ?? '') ?? [];
  if (token === undefined || bearer.test(headers.authorization ?? '')) return undefined;
  return `The API key is not valid: the header "X-Api-Key" must contain only the key, without "Bearer".`;
}

const keyParameters = ['api_key', 'apikey', 'x-api-key', 'key', 'token', 'access_token'];

/** Whether a query contains what the client may have meant as its key. In a signed link, `key` is the id of a secret. */
function hasKeyInQuery(url: string): boolean {
  const query = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  const isKey = (value: string | null) => Boolean(value) && !/^[0-9a-f]{8}$/.test(value ?? '');
  return url.includes('?') && keyParameters.some((name) => isKey(query.get(name)));
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
