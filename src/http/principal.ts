import type { FastifyRequest } from 'fastify';
import { type Caller, unrestrictedPrincipal, type Principal } from '../model/principal.ts';

/**
 * Returns the principal that sent a request. All routes use this function, so that access control can be added in one
 * place.
 */
export function getPrincipal(request: FastifyRequest): Principal {
  return { ...unrestrictedPrincipal, caller: getCaller(request) };
}

/** Longer than any IP address. Longer values are truncated, because a proxy may forward arbitrary text. */
const maxAddressLength = 64;

function getCaller({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, maxAddressLength) };
}
