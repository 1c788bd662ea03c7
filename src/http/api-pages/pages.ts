import { createHash } from 'node:crypto';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { OpenApiDocument } from './openapi-types.ts';
import { renderReference } from './redoc.ts';
import { referenceStyle } from './redoc-style.ts';

/** Where the document lies. */
export const documentPath = '/api/v1/openapi.json';

/** Nothing from elsewhere: neither pages nor what they load. The page sets styles in its elements. */
const docsPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const styleHash = createHash('sha256').update(referenceStyle).digest('base64');
const referencePolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** The documentation in three forms: for programs, to try calls, and to read. */
export function serveApiPages(app: FastifyInstance): void {
  app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: docsPolicy,
    theme: { title: 'Vitrine API' },
    uiConfig: { docExpansion: 'list', tryItOutEnabled: true, validatorUrl: null },
  });
  const hidden = { schema: { hide: true } };
  app.get(documentPath, hidden, (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(app.swagger()),
  );
  // Rendered once: routes do not change while the server runs.
  let page: string | undefined;
  app.get('/redoc', hidden, (_request, reply) => {
    page ??= renderReference(app.swagger() as unknown as OpenApiDocument);
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', referencePolicy)
      .header('x-content-type-options', 'nosniff')
      .header('cache-control', 'no-cache')
      .send(page);
  });
}
