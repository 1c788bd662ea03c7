import type { FastifyInstance } from 'fastify';
import { AppError } from '../../errors.ts';

interface KnownAddress {
  readonly pattern: RegExp;
  readonly methods: Set<string>;
}

/** Answers what a request was refused for that no route took: the address, or its method only. */
export type NameMissingRoute = (
  method: string,
  address: string,
) => { readonly error: AppError; readonly allow: readonly string[] };

/** Collects the addresses of all routes to come, so that a wrong method is told from a wrong address. */
export function collectAddresses(app: FastifyInstance): NameMissingRoute {
  const known = new Map<string, KnownAddress>();
  app.addHook('onRoute', ({ url, method }) => {
    // Preflights are answered everywhere; that makes no address known.
    if (url === '*' || url === '/*') return;
    const entry = known.get(url) ?? { pattern: patternOf(url), methods: new Set() };
    for (const one of [method].flat()) entry.methods.add(one);
    known.set(url, entry);
  });
  return (method, address) => nameMissing(known, method, address.split('?')[0] ?? '');
}

function nameMissing(known: ReadonlyMap<string, KnownAddress>, method: string, path: string) {
  const matching = [...known.values()].filter(({ pattern }) => pattern.test(path));
  const allow = [...new Set(matching.flatMap(({ methods }) => [...methods]))].toSorted();
  const shown = `${method} ${path.slice(0, 200)}`;
  // A route may have looked and found nothing, as for a file that is not there.
  if (allow.length === 0 || allow.includes(method))
    return { error: new AppError('route_not_found', `There is nothing at ${shown}.`), allow: [] };
  const takes = `${path.slice(0, 200)} takes ${allow.join(', ')}, not ${method}.`;
  return { error: new AppError('method_not_allowed', takes), allow };
}

/** `/a/:id/*` as a regular expression; a trailing slash does not matter. */
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
