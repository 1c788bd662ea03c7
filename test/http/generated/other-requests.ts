import * as fc from 'fast-check';
import type { Request } from './exchange.ts';
import type { Operation } from './operations.ts';

/** Methods that a client might try. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];

/** A request with an unsupported method, and the allowed ones. */
export interface WrongMethod extends Request {
  readonly allow: readonly string[];
}

/** Returns every address with every undocumented method. */
export function undocumentedMethods(operations: readonly Operation[]): WrongMethod[] {
  return [...new Set(operations.map(({ path }) => path))].flatMap((path) => {
    const target = examplePath(path);
    const documented = operations
      .filter((operation) => matches(operation.path, target))
      .map(({ method }) => method);
    const allow = [...new Set(documented.includes('GET') ? [...documented, 'HEAD'] : documented)].toSorted();
    const others = methods.filter((method) => !allow.includes(method));
    return others.map((method) => ({ method, target, headers: {}, allow }));
  });
}

function examplePath(path: string): string {
  return path.replaceAll(/\{\w+\}/g, '1');
}

/** One address may match another: `/v1/jobs/retry` looks like a job with the id "retry". */
function matches(path: string, target: string): boolean {
  return new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target);
}

/** Unknown addresses: known ones with a segment added or replaced. */
export function unknownAddresses(operations: readonly Operation[], count: number, seed: number): Request[] {
  const known = operations.map(({ path }) => examplePath(path)).filter((path) => path !== '/');
  const odd = [
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
      fc.constantFrom(...known),
      fc.constantFrom(...odd.map(encodeURI)),
      fc.constantFrom('in', 'before', 'behind'),
    )
    .map(([path, word, where]) => {
      if (where === 'before') return `/${word}${path}`;
      // After a complete address, where it cannot be the value of a parameter.
      return where === 'behind' ? `${path}/${word}/${word}` : path.replace(/^\/[^/]+/, `/${word}`);
    });
  const requests = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD'),
    target: target.filter((made) => !operations.some(({ path }) => matches(path, made))),
    headers: fc.constantFrom<Record<string, string>>(
      {},
      { 'content-type': 'application/json' },
      { accept: 'text/html' },
    ),
  });
  return fc.sample(fc.noBias(requests), { numRuns: count, seed });
}

/** Preflights of browsers for pages of other origins. */
export function preflights(operations: readonly Operation[], origin: string): Request[] {
  return operations.map(({ path, method }) => ({
    method: 'OPTIONS',
    target: examplePath(path),
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': 'content-type',
    },
  }));
}

/** Pairs of GET and HEAD requests for the same address. */
export function heads(
  requests: readonly (Request & { readonly operation: Operation })[],
): [Request, Request][] {
  return requests.filter(({ method }) => method === 'GET').map((get) => [get, { ...get, method: 'HEAD' }]);
}
