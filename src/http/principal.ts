import type { FastifyRequest } from 'fastify';
import { type Caller, unrestrictedPrincipal, type Principal } from '../model/principal.ts';

/** Returns the sender of a request. Every route calls this, so that access control has a single place. */
export function getPrincipal(request: FastifyRequest): Principal {
  return { ...unrestrictedPrincipal, caller: getCaller(request) };
}

/** Longer than any IP address. A proxy may forward arbitrary text from the client. */
const maxAddressLength = 64;

function getCaller({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, maxAddressLength) };
}
