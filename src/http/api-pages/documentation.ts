import type { FastifyInstance, RouteOptions } from 'fastify';
import type { OpenApiDocument } from './openapi-types.ts';

/** The API documentation of a server. */
export interface Documentation {
  readonly document: OpenApiDocument;
  /** Serves Swagger UI below `/docs`. Requests are injected into it. */
  readonly swaggerUi: FastifyInstance;
}

/**
 * Builds the documentation of the routes when it is called for the first time. Nobody reads it at most starts, and its libraries
 * would take 150 ms of each.
 */
export type LoadDocumentation = () => Promise<Documentation>;

declare module 'fastify' {
  interface FastifyInstance {
    /** Returns the OpenAPI document of this server. */
    loadOpenApiDocument(): Promise<OpenApiDocument>;
  }
}

/** Collects all routes that are registered later. */
export function collectDocumentedRoutes(app: FastifyInstance): LoadDocumentation {
  const routes: RouteOptions[] = [];
  app.addHook('onRoute', (route) => {
    // Each GET route also supports HEAD, which the document states once.
    if (route.method !== 'HEAD' && route.schema?.hide !== true) routes.push(route);
  });
  let documentation: Promise<Documentation> | undefined;
  const load: LoadDocumentation = () => {
    documentation ??= import('./swagger-app.ts').then(({ makeSwaggerApp }) => makeSwaggerApp(routes));
    return documentation;
  };
  app.decorate('loadOpenApiDocument', async () => (await load()).document);
  app.addHook('onClose', async () => {
    const { swaggerUi } = (await documentation) ?? {};
    await swaggerUi?.close();
  });
  return load;
}
