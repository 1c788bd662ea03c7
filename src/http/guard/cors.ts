import cors from '@fastify/cors';
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { HttpConfig } from '../surface.ts';

/** Headers beside the few that a browser always shows to a page of another origin. */
const exposedHeaders = [
  'accept-ranges',
  'allow',
  'content-disposition',
  'content-range',
  'etag',
  'location',
  'retry-after',
].join(', ');

/** Browsers may keep the answer to a preflight for this long. */
const preflightSeconds = 600;

/** Lets pages of the configured origins call the API. Other origins get no header, so their browser refuses. */
export function allowOrigins(app: FastifyInstance, { corsOrigins }: HttpConfig['server']): void {
  app.register(cors, {
    origin: corsOrigins === '*' ? '*' : [...corsOrigins],
    // Pages allowed only by `*` may read; the request gate refuses their writes.
    methods: corsOrigins === '*' ? ['GET', 'HEAD'] : ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'],
    exposedHeaders,
    maxAge: preflightSeconds,
    // An OPTIONS request that is no preflight is answered like one; the other choice is an error in plain text.
    strictPreflight: false,
  });
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false` turns the plugin off for a route. */
    readonly cors?: false;
  }
}

/** Configuration of a route that sets the headers itself. */
export const withoutCors = { cors: false } as const;

/**
 * The same headers for the hottest answers, as a flat list of names and values made beforehand: the plugin's work for
 * each request would be a tenth of such an answer.
 */
export function makeCrossOriginHeaders({
  corsOrigins,
}: HttpConfig['server']): (origin: string | undefined) => readonly string[] {
  const forAll = ['access-control-allow-origin', '*', 'access-control-expose-headers', exposedHeaders];
  if (corsOrigins === '*') return () => forAll;
  const others = ['vary', 'Origin'];
  const allowed = new Map(corsOrigins.map((origin) => [origin, [...others, ...forAll.with(1, origin)]]));
  return (origin) => (origin === undefined ? others : (allowed.get(origin) ?? others));
}

/** Sets headers that were made as a flat list. */
export function setHeaders(reply: FastifyReply, headers: readonly string[]): void {
  for (let at = 0; at < headers.length; at += 2) void reply.header(headers[at] ?? '', headers[at + 1]);
}
