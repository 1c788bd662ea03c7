import * as fc from 'fast-check';
import type { Request } from './exchange.ts';
import type { Operation } from './operations.ts';

/** Methods that a shop's program might try. */
const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND'];

/** A request with a method that its address does not take, and those that it does. */
export interface WrongMethod extends Request {
  readonly allow: readonly string[];
}

/** Every address with every method that the document does not have for it. */
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

/** One address may be a case of another: `/v1/jobs/retry` looks like the job "retry". */
function matches(path: string, target: string): boolean {
  return new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(target);
}

/** Addresses that lead nowhere: known ones with something before, behind or in place of a part. */
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
      // Behind a whole address: what stands there cannot be a parameter's value.
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

/** What browsers ask before a page of another origin calls an address. */
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

/** Pairs of a GET and the HEAD of the same address. */
export function heads(
  requests: readonly (Request & { readonly operation: Operation })[],
): [Request, Request][] {
  return requests.filter(({ method }) => method === 'GET').map((get) => [get, { ...get, method: 'HEAD' }]);
}
