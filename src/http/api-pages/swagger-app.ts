import swaggerUi from '@fastify/swagger-ui';
import Fastify, { type RouteOptions } from 'fastify';
import { schemaController } from '../compilers.ts';
import { describeRoutes } from '../openapi/document.ts';
import type { Documentation } from './documentation.ts';
import type { OpenApiDocument } from './openapi-types.ts';
import { swaggerTheme } from './swagger-theme.ts';

/** Content security policy for Swagger UI. It allows inline styles and `data:` images, but nothing from other hosts. */
const swaggerPolicy =
  "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Creates the documentation of `routes`. Only its own routes can be called. */
export async function makeSwaggerApp(routes: readonly RouteOptions[]): Promise<Documentation> {
  const app = Fastify({
    schemaController,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: true },
  });
  await describeRoutes(app);
  for (const { method, url, schema, config } of routes)
    app.route({ method, url, schema, config, handler: (_request, reply) => reply.callNotFound() });
  await app.register(async (pages) => {
    // The plugin's routes declare nothing.
    pages.addHook('onRoute', (route) => {
      route.config = { access: 'open', ...route.config };
    });
    await pages.register(swaggerUi, {
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
  });
  await app.ready();
  return { document: app.swagger() as unknown as OpenApiDocument, swaggerUi: app };
}
