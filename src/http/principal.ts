import type { FastifyRequest } from 'fastify';
import { type Caller, unrestrictedPrincipal, type Principal } from '../model/principal.ts';

/**
 * Returns the principal of a request: its caller and permissions. All routes call this function, so that access control
 * can be added in one place.
 */
export function getPrincipal(request: FastifyRequest): Principal {
  return { ...unrestrictedPrincipal, caller: getCaller(request) };
}

/** Maximum length of a forwarded address. No IP address is longer, but a proxy may forward arbitrary text. */
const maxAddressLength = 64;

function getCaller({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, maxAddressLength) };
}
