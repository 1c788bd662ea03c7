import type { FastifyRequest } from 'fastify';
import { type Caller, unrestrictedPrincipal, type Principal } from '../model/principal.ts';

/** Returns who sent the request. Every route calls this, so that access control has a single place. */
export function principalOf(request: FastifyRequest): Principal {
  return { ...unrestrictedPrincipal, caller: callerOf(request) };
}

/** Longer than any address: a proxy may forward arbitrary client text. */
const maxAddressLength = 64;

function callerOf({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, maxAddressLength) };
}
