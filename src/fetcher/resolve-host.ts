import { Resolver } from 'node:dns/promises';
import { AppError } from '../errors.ts';

/** Finds all addresses of a name, IPv4 first; ends at once with `signal`. */
export type ResolveHost = (name: string, signal: AbortSignal) => Promise<readonly string[]>;

/** Longest time for both families together, in milliseconds. */
const longest = 2_000;

/**
 * Asks name servers itself and never the system: the system's look-ups block threads that all file work shares, and
 * know names of this machine's hosts file.
 * @param servers addresses of name servers, such as `127.0.0.1:53`; by default those of this machine.
 */
export function makeHostResolver(servers?: readonly string[]): ResolveHost {
  return async (name, signal) => {
    // One resolver for each name, since cancelling ends all questions of a resolver.
    const resolver = new Resolver({ timeout: longest / 2, tries: 2 });
    if (servers) resolver.setServers(servers);
    const cancel = () => resolver.cancel();
    const timer = setTimeout(cancel, longest);
    signal.addEventListener('abort', cancel, { once: true });
    try {
      return await allAddresses(resolver, name);
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', cancel);
    }
  };
}

/** Both families must be answered: a name whose IPv6 side is unknown cannot be judged. */
async function allAddresses(resolver: Resolver, name: string): Promise<readonly string[]> {
  const families = [resolver.resolve4(name), resolver.resolve6(name)].map((asked) =>
    asked.catch(noneIfNoData),
  );
  try {
    const found = (await Promise.all(families)).flat();
    if (found.length > 0) return found;
  } catch (error) {
    throw unresolved(name, error);
  }
  throw unresolved(name);
}

/** A name that exists may have no address in one family. */
function noneIfNoData(error: unknown): string[] {
  if (error instanceof Error && 'code' in error && error.code === 'ENODATA') return [];
  throw error;
}

function unresolved(name: string, cause?: unknown): AppError {
  return new AppError('source_unavailable', `The host name ${name} could not be resolved.`, { cause });
}
