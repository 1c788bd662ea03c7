import type { FastifyInstance } from 'fastify';

/**
 * Headers of every response. They prevent browsers from guessing a media type (`nosniff`), from showing the response in a
 * frame of another page, and from running anything in it. No page tells another site its URL, because a URL may contain the
 * signature of a link. Pages and images set a policy of their own.
 */
export const securityHeaders = {
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy':
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
} as const;

/** Adds the security headers that a route does not set itself. Code that bypasses Fastify adds them itself. */
export function addSecurityHeaders(app: FastifyInstance): void {
  const headers = Object.entries(securityHeaders);
  app.addHook('onSend', (_request, reply, _payload, done) => {
    for (const [name, value] of headers) if (!reply.hasHeader(name)) void reply.header(name, value);
    done();
  });
}
