import { Resolver } from 'node:dns/promises';
import { AppError } from '../errors.ts';

/** Resolves a host name to all its addresses, IPv4 first. Aborting `signal` cancels the query at once. */
export type ResolveHost = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Deadline for the queries of both address families, which run concurrently, in milliseconds. */
const timeoutMs = 2_000;

/**
 * Creates a resolver that queries name servers directly. The system resolver is not used: it blocks threads that file
 * access needs, and resolves names from this machine's hosts file.
 * @param servers addresses of name servers, e.g. `127.0.0.1:53`. Default: those configured on this machine.
 */
export function makeHostResolver(servers?: readonly string[]): ResolveHost {
  return async (name, signal) => {
    // One resolver per call, because `cancel` cancels all queries of a resolver.
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

/** Requires a response for both families: a name whose IPv6 addresses are unknown cannot be checked. */
async function resolveAll(resolver: Resolver, name: string): Promise<readonly string[]> {
  const families = [resolver.resolve4(name), resolver.resolve6(name)].map((query) =>
    query.catch(emptyIfNoData),
  );
  try {
    const addresses = (await Promise.all(families)).flat();
    if (addresses.length > 0) return addresses;
  } catch (error) {
    throw unresolvedHost(name, error);
  }
  throw unresolvedHost(name);
}

/** Returns no addresses for a name that exists but has none in this family. */
function emptyIfNoData(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENODATA') return [];
  throw error;
}

function unresolvedHost(name: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', `The host name ${name} could not be resolved.`, { cause });
}
