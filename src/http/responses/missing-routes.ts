import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors.ts';

interface KnownRoute {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Explains why no route matched a request: the path is unknown, or the path is known but does not allow the method. */
export type ExplainMissingRoute = (
  method: string,
  url: string,
) => {
  readonly error: AppError;
  /** Methods for the `Allow` header; empty if the path is unknown. */
  readonly allowedMethods: readonly string[];
};

/**
 * Collects all routes that are registered after this call. The returned function uses them to distinguish a wrong
 * method (405) from an unknown path (404).
 */
export function collectRoutes(app: FastifyInstance): ExplainMissingRoute {
  const routes = new Map<string, KnownRoute>();
  app.addHook('onRoute', ({ url, method }) => {
    // The CORS plugin registers a wildcard route for preflights. Because of it, every path would count as known.
    if (url === '*' || url === '/*') return;
    const route = routes.get(url) ?? { pattern: toPattern(url), methods: new Set() };
    for (const allowedMethod of [method].flat()) route.methods.add(allowedMethod);
    routes.set(url, route);
  });
  return (method, url) => explainMissingRoute(routes, method, url.split('?')[0] ?? '');
}

function explainMissingRoute(routes: ReadonlyMap<string, KnownRoute>, method: string, path: string) {
  const matchingRoutes = [...routes.values()].filter(({ pattern }) => pattern.test(path));
  const allowedMethods = [...new Set(matchingRoutes.flatMap(({ methods }) => [...methods]))].toSorted();
  const shortPath = path.slice(0, 200);
  // A matching route can itself return 404, for example for a missing static file.
  if (allowedMethods.length === 0 || allowedMethods.includes(method))
    return {
      error: new AppError('route_not_found', `No route matches ${method} ${shortPath}.`),
      allowedMethods: [],
    };
  const message = `${shortPath} does not allow ${method}; allowed methods: ${allowedMethods.join(', ')}.`;
  return { error: new AppError('method_not_allowed', message), allowedMethods };
}

/** Converts a route such as `/a/:id/*` to a regular expression that allows a trailing slash. */
function toPattern(url: string): RegExp {
  const segments = url
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => {
      if (segment === '*') return '.*';
      return segment.startsWith(':') ? '[^/]+' : RegExp.escape(segment);
    });
  return new RegExp(`^/${segments.join('/')}/?$`);
}
