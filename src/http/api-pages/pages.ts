import { createHash } from 'node:crypto';
import swaggerUi from '@fastify/swagger-ui';
import type { FastifyInstance } from 'fastify';
import type { OpenApiDocument } from './openapi-types.ts';
import { renderReferencePage } from './reference-page.ts';
import { referenceStyle } from './reference-style.ts';
import { faviconPath, swaggerTheme } from './swagger-theme.ts';

/** URL path of the OpenAPI document. */
export const openApiPath = '/api/v1/openapi.json';

/** Content security policy for Swagger UI. It allows inline styles and `data:` images, but nothing from other hosts. */
const swaggerPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const styleHash = createHash('sha256').update(referenceStyle).digest('base64');
const referencePolicy = `default-src 'none'; img-src 'self'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** Serves the API documentation: the OpenAPI document, Swagger UI at `/docs`, and the reference page at `/redoc`. */
export function serveApiPages(app: FastifyInstance): void {
  // The plugin's routes declare nothing.
  app.addHook('onRoute', (route) => {
    route.config = { access: 'open', ...route.config };
  });
  app.register(swaggerUi, {
    ...swaggerTheme,
    routePrefix: '/docs',
    staticCSP: swaggerPolicy,
    // A key that the reader enters is forgotten when the page is closed.
    uiConfig: {
      docExpansion: 'list',
      tryItOutEnabled: true,
      validatorUrl: null,
      persistAuthorization: false,
    },
  });
  const hiddenRoute = { schema: { hide: true } };
  app.get(openApiPath, hiddenRoute, (_request, reply) =>
    reply.header('cache-control', 'no-cache').send(app.swagger()),
  );
  // The reference page is rendered only once, because routes do not change while the server runs.
  let page: string | undefined;
  app.get('/redoc', hiddenRoute, (_request, reply) => {
    page ??= renderReferencePage(app.swagger() as unknown as OpenApiDocument, faviconPath);
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', referencePolicy)
      .header('x-content-type-options', 'nosniff')
      .header('cache-control', 'no-cache')
      .send(page);
  });
}
