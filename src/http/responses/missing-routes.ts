import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors.ts';

interface KnownRoute {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Explains why no route matched a request: the address is unknown, or only the method is wrong. */
export type ExplainMissingRoute = (
  method: string,
  url: string,
) => {
  readonly error: AppError;
  /** Methods for the `Allow` header; empty if the address is unknown. */
  readonly allow: readonly string[];
};

/** Collects all routes registered later, so that a wrong method gets 405 instead of 404. */
export function collectRoutes(app: FastifyInstance): ExplainMissingRoute {
  const known = new Map<string, KnownRoute>();
  app.addHook('onRoute', ({ url, method }) => {
    // The CORS plugin registers a wildcard for preflights; it must not make every address known.
    if (url === '*' || url === '/*') return;
    const route = known.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) route.methods.add(one);
    known.set(url, route);
  });
  return (method, url) => explain(known, method, url.split('?')[0] ?? '');
}

function explain(known: ReadonlyMap<string, KnownRoute>, method: string, path: string) {
  const matching = [...known.values()].filter(({ pattern }) => pattern.test(path));
  const allow = [...new Set(matching.flatMap(({ methods }) => [...methods]))].toSorted();
  const shortPath = path.slice(0, 200);
  // A matching route may itself report 404, as for a missing static file.
  if (allow.length === 0 || allow.includes(method))
    return {
      error: new AppError('route_not_found', `There is no route ${method} ${shortPath}.`),
      allow: [],
    };
  const sentence = `${shortPath} allows ${allow.join(', ')}, not ${method}.`;
  return { error: new AppError('method_not_allowed', sentence), allow };
}

/** Converts `/a/:id/*` to a regular expression that allows a trailing slash. */
function patternOf(url: string): RegExp {
  const segments = url
    .split('/')
    .filter((segment) => segment !== '')
    .map((segment) => {
      if (segment === '*') return '.*';
      return segment.startsWith(':') ? '[^/]+' : RegExp.escape(segment);
    });
  return new RegExp(`^/${segments.join('/')}/?$`);
}
