import { AsyncLocalStorage } from 'node:async_hooks';

/**
 * The tenant to which the current work is bound; `null` for work on all tenants. The database restricts every query of bound
 * work to that tenant's rows, even if its conditions would select others.
 */
const scope = new AsyncLocalStorage<number | null>();

/** Returns the tenant to which the current work is bound; `null` if it is not bound. */
export function boundTenantId(): number | null {
  return scope.getStore() ?? null;
}

/**
 * Runs `work`, and everything that it starts, bound to a tenant. If it returns an iterable that runs queries while it is
 * read, or a promise of one, reading it is bound as well.
 * @param tenantId `null` leaves the work unbound
 */
export function runInTenant<T>(tenantId: number | null, work: () => T): T {
  const isUnboundAlready = tenantId === null && boundTenantId() === null;
  const result = isUnboundAlready ? work() : scope.run(tenantId, work);
  const bindReading = (value: unknown) => (isAsyncGenerator(value) ? readInTenant(tenantId, value) : value);
  return (result instanceof Promise ? result.then(bindReading) : bindReading(result)) as T;
}

/**
 * Runs `work` on all tenants. Work that outlives the request that started it, or that serves several requests, must be run
 * like this: otherwise it would stay bound to the tenant of that request.
 */
export function runUnbound<T>(work: () => T): T {
  return scope.run(null, work);
}

/** Returns a function that runs `work` bound to the tenant of the caller of `keepTenant`, whenever it is called. */
export function keepTenant<Args extends unknown[], T>(work: (...args: Args) => T): (...args: Args) => T {
  const tenantId = boundTenantId();
  return (...args) => scope.run(tenantId, work, ...args);
}

function isAsyncGenerator(value: unknown): value is AsyncGenerator {
  return Object.prototype.toString.call(value) === '[object AsyncGenerator]';
}

/** The body of a generator runs in the scope of whoever reads it, not in that of whoever created it. */
function readInTenant(tenantId: number | null, source: AsyncGenerator): AsyncGenerator {
  const bound: AsyncGenerator = {
    next: (value: unknown) => scope.run(tenantId, () => source.next(value)),
    return: (value: unknown) => scope.run(tenantId, () => source.return(value)),
    throw: (error: unknown) => scope.run(tenantId, () => source.throw(error)),
    [Symbol.asyncIterator]: () => bound,
    [Symbol.asyncDispose]: async () => void (await bound.return(undefined)),
  };
  return bound;
}
