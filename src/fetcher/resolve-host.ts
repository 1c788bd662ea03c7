import { Resolver } from 'node:dns/promises';
import { AppError } from '../errors.ts';

/**
 * Resolves a host name to all its addresses, IPv4 addresses first. Aborting `signal` cancels the queries immediately.
 */
export type ResolveHost = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Deadline in milliseconds for the IPv4 and IPv6 queries, which run concurrently. */
const timeoutMs = 2_000;

/**
 * Creates a resolver that queries name servers directly. The system resolver is not used, because it uses this
 * machine's hosts file and blocks threads that are needed for file access.
 * @param servers addresses of name servers, e.g. `127.0.0.1:53`. Default: those configured on this machine.
 */
export function makeHostResolver(servers?: readonly string[]): ResolveHost {
  return async (name, signal) => {
    // Each call uses its own resolver, because `cancel` cancels all queries of a resolver.
    const resolver = new Resolver({ timeout: timeoutMs / 2, tries: 2 });
    if (servers) resolver.setServers(servers);
    const cancel = () => resolver.cancel();
    const timer = setTimeout(cancel, timeoutMs);
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await resolveAll(resolver, name);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
  };
}

/**
 * Queries the IPv4 and IPv6 addresses. Both queries must succeed: a host is accepted only if all its addresses are
 * allowed, so all of them must be known.
 */
async function resolveAll(resolver: Resolver, name: string): Promise<readonly string[]> {
  const queries = [resolver.resolve4(name), resolver.resolve6(name)].map((query) =>
    query.catch(emptyIfNoData),
  );
  try {
    const addresses = (await Promise.all(queries)).flat();
    if (addresses.length > 0) return addresses;
  } catch (error) {
    throw unresolvedHost(name, error);
  }
  throw unresolvedHost(name);
}

/** Returns an empty list if the name exists but has no address of this family. */
function emptyIfNoData(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENODATA') return [];
  throw error;
}

function unresolvedHost(name: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', `The host name ${name} could not be resolved.`, { cause });
}
