import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { LoadDocumentation } from './documentation.ts';
import { renderReferencePage } from './reference-page.ts';
import { referenceStyle } from './reference-style.ts';
import { faviconPath } from './swagger-theme.ts';

/** URL path of the OpenAPI document. */
export const openApiPath = '/api/v1/openapi.json';

const styleHash = createHash('sha256').update(referenceStyle).digest('base64');
const referencePolicy = `default-src 'none'; img-src 'self'; style-src 'sha256-${styleHash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

/** Serves the API documentation: the OpenAPI document, Swagger UI at `/docs`, and the reference page at `/redoc`. */
export function serveApiPages(app: FastifyInstance, loadDocumentation: LoadDocumentation): void {
  const hiddenRoute = { config: { access: 'open' }, schema: { hide: true } } as const;
  for (const path of ['/docs', '/docs/*'])
    app.get(path, hiddenRoute, async ({ raw: { url, headers } }, reply) => {
      const { swaggerUi } = await loadDocumentation();
      const response = await swaggerUi.inject({ method: 'GET', url: url ?? path, headers });
      if (response.statusCode === 404) return reply.callNotFound();
      return reply.code(response.statusCode).headers(response.headers).send(response.rawPayload);
    });
  app.get(openApiPath, hiddenRoute, async (_request, reply) => {
    const { document } = await loadDocumentation();
    return reply.header('cache-control', 'no-cache').send(document);
  });
  // The reference page is rendered only once, because routes do not change while the server runs.
  let page: string | undefined;
  app.get('/redoc', hiddenRoute, async (_request, reply) => {
    page ??= renderReferencePage((await loadDocumentation()).document, faviconPath);
    return reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', referencePolicy)
      .header('x-content-type-options', 'nosniff')
      .header('cache-control', 'no-cache')
      .send(page);
  });
}
