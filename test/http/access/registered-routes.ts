import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { FastifyInstance, RouteOptions } from 'fastify';
import { pino } from 'pino';
import { loadConfig } from '../../../src/config.ts';
import { listRouteScopes } from '../../../src/http/guard/authentication.ts';
import type { HttpDependencies } from '../../../src/http/route-plugin.ts';
import { makeHttpServer } from '../../../src/http/server.ts';
import type { Scope } from '../../../src/model/access.ts';
import { listOperations, type Operation } from '../generated/operations.ts';

/** A route of the server, as it is registered. Tests that use this list cover new routes without being changed. */
export interface RegisteredRoute {
  readonly method: string;
  /** Path template as in the OpenAPI document, such as `/v1/images/{id}`. */
  readonly path: string;
  /** Scopes of which a caller needs one; empty if the route is open. */
  readonly scopes: readonly Scope[];
  readonly acceptsLinks: boolean;
  /** Whether the path is signed, so that a key makes no difference. */
  readonly isSignedPath: boolean;
  /** Whether a request can be repeated with an `Idempotency-Key`. */
  readonly isIdempotent: boolean;
  /** The documented operation; for HEAD, that of GET. Pages and files of the documentation have none. */
  readonly operation: Operation | undefined;
}

const channel = 'fastify.initialization';

/** Returns every route that the server registers, including those that the OpenAPI document does not contain. */
export async function listRegisteredRoutes(): Promise<RegisteredRoute[]> {
  const registered: RouteOptions[] = [];
  // The hook must exist before the first route, so the server itself is caught while it is created.
  const addHook = (message: unknown): void => {
    (message as { fastify: FastifyInstance }).fastify.addHook(
      'onRoute',
      (route) => void registered.push(route),
    );
  };
  subscribe(channel, addHook);
  const dependencies = { services: {}, metrics: {} } as unknown as HttpDependencies;
  const app = makeHttpServer(loadConfig({}), pino({ level: 'silent' }), dependencies);
  unsubscribe(channel, addHook);
  await app.ready();
  const operations = listOperations(await app.loadOpenApiDocument());
  await app.close();
  return registered.flatMap((route) =>
    [route.method].flat().map((method) => {
      const path = toTemplate(route.url);
      const documentedMethod = method === 'HEAD' ? 'GET' : method;
      return {
        method,
        path,
        scopes: listRouteScopes({ ...route, method }),
        acceptsLinks: route.config?.acceptsLinks === true,
        isSignedPath: route.config?.isSignedPath === true,
        isIdempotent: route.config?.isIdempotent === true,
        operation: operations.find(
          (operation) => operation.path === path && operation.method === documentedMethod,
        ),
      };
    }),
  );
}

function toTemplate(url: string): string {
  const template = url.replaceAll(/:(\w+)/g, '{$1}');
  return template === '/' ? template : template.replace(/\/$/, '');
}
