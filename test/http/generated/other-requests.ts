import * as fc from 'fast-check';
import type { Request } from './exchange.ts';
import type { Operation } from './operations.ts';

/** Methods that a client might try. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];

/** A request with an unsupported method, and the methods that are allowed. */
export interface WrongMethodRequest extends Request {
  readonly allowedMethods: readonly string[];
}

/** Returns a request for every combination of a path and an undocumented method. */
export function makeWrongMethodRequests(operations: readonly Operation[]): WrongMethodRequest[] {
  return [...new Set(operations.map(({ path }) => path))].flatMap((path) => {
    const target = fillPathTemplate(path);
    const documentedMethods = operations
      .filter((operation) => matchesTemplate(operation.path, target))
      .map(({ method }) => method);
    const allowedMethods = [
      ...new Set(documentedMethods.includes('GET') ? [...documentedMethods, 'HEAD'] : documentedMethods),
    ].toSorted();
    return methods
      .filter((method) => !allowedMethods.includes(method))
      .map((method) => ({ method, target, headers: {}, allowedMethods }));
  });
}

function fillPathTemplate(path: string): string {
  return path.replaceAll(/\{\w+\}/g, '1');
}

/** Returns whether `target` matches a path template. Several templates can match: `/v1/jobs/retry` also matches `/v1/jobs/{id}`. */
function matchesTemplate(template: string, target: string): boolean {
  return new RegExp(`^${template.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target);
}

/** Generates requests for unknown paths by adding or replacing a segment of a known path. */
export function generateUnknownPathRequests(
  operations: readonly Operation[],
  count: number,
  seed: number,
): Request[] {
  const knownPaths = operations.map(({ path }) => fillPathTemplate(path)).filter((path) => path !== '/');
  const segments = [
    'nothing',
    '%00',
    '%2e%2e%2fetc%2fpasswd',
    '__proto__',
    'constructor',
    '~',
    '*',
    "'--",
    '🪑',
    ';',
    'x'.repeat(900),
  ];
  const target = fc
    .tuple(
      fc.constantFrom(...knownPaths),
      fc.constantFrom(...segments.map(encodeURI)),
      fc.constantFrom('replace', 'before', 'after'),
    )
    .map(([path, segment, position]) => {
      if (position === 'before') return `/${segment}${path}`;
      // Two segments are added at the end, because a single segment could be the value of a parameter.
      return position === 'after' ? `${path}/${segment}/${segment}` : path.replace(/^\/[^/]+/, `/${segment}`);
    });
  const requests = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'),
    target: target.filter((candidate) => !operations.some(({ path }) => matchesTemplate(path, candidate))),
    headers: fc.constantFrom<Record<string, string>>(
      {},
      { 'content-type': 'application/json' },
      { accept: 'text/html' },
    ),
  });
  return fc.sample(fc.noBias(requests), { numRuns: count, seed });
}

/** Returns the preflight that a browser sends from `origin` for each operation. */
export function makePreflights(operations: readonly Operation[], origin: string): Request[] {
  return operations.map(({ path, method }) => ({
    method: 'OPTIONS',
    target: fillPathTemplate(path),
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'content-type',
    },
  }));
}

/** Returns each GET request with a HEAD request for the same URL. */
export function pairGetWithHead(
  requests: readonly (Request & { readonly operation: Operation })[],
): [Request, Request][] {
  return requests.filter(({ method }) => method === 'GET').map((get) => [get, { ...get, method: 'HEAD' }]);
}
