import cors from '@fastify/cors';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { HttpConfig } from '../route-plugin.ts';

/** Response headers that pages from other origins may read, in addition to those that browsers always expose. */
const exposedHeaders = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-range',
  'etag',
  'idempotency-replayed',
  'location',
  'ratelimit',
  'ratelimit-policy',
  'retry-after',
  'www-authenticate',
].join(', ');

/** How long browsers may cache the response to a preflight. */
const preflightSeconds = 600;

/** Allows pages from the configured origins to call the API. Browsers block cross-origin calls from all other pages. */
export function allowOrigins(app: FastifyInstance, { corsOrigins }: HttpConfig['server']): void {
  app.register(cors, {
    origin: corsOrigins === '*' ? '*' : [...corsOrigins],
    // With `*`, pages may only read; the request gate rejects their writes.
    methods: corsOrigins === '*' ? ['GET', 'HEAD'] : ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders,
    // Keys are sent in headers, never in cookies, so pages need no `Access-Control-Allow-Credentials`. The request headers
    // are not limited: a page of an allowed origin may send `Authorization`, `X-Api-Key` and `Idempotency-Key`.
    maxAge: preflightSeconds,
    // In strict mode, an OPTIONS request that is not a preflight would get a plain-text error.
    strictPreflight: false,
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false` disables the CORS plugin for a route. */
    readonly cors?: false;
  }
}

/** Configuration for routes that set the CORS headers themselves. */
export const withoutCorsPlugin = { cors: false } as const;

/**
 * Returns a function that maps an `Origin` to a flat array with the names and values of its CORS headers. The most
 * frequently used routes call this function instead of the CORS plugin, which would take a tenth of the response time.
 */
export function makeGetCorsHeaders({
  corsOrigins,
}: HttpConfig['server']): (origin: string | undefined) => readonly string[] {
  const wildcardHeaders = [
    'access-control-allow-origin',
    '*',
    'access-control-expose-headers',
    exposedHeaders,
  ];
  if (corsOrigins === '*') return () => wildcardHeaders;
  const varyHeaders = ['vary', 'Origin'];
  const headersByOrigin = new Map(
    corsOrigins.map((origin) => [origin, [...varyHeaders, ...wildcardHeaders.with(1, origin)]]),
  );
  return (origin) => (origin === undefined ? varyHeaders : (headersByOrigin.get(origin) ?? varyHeaders));
}

/** Sets headers from a flat array of names and values. */
export function setHeaders(reply: FastifyReply, headers: readonly string[]): void {
  for (let index = 0; index < headers.length; index += 2)
    void reply.header(headers[index] ?? '', headers[index + 1]);
}
