import type { FastifyRequest } from 'fastify';
import { type Caller, openPrincipal, type Principal } from '../model/principal.ts';

/** Who makes this request. Every route asks here, so that access control has one place to live in. */
export function principalOf(request: FastifyRequest): Principal {
  return { ...openPrincipal, caller: callerOf(request) };
}

/** Longer than any address: a proxy may forward arbitrary client text. */
const addressLength = 64;

function callerOf({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, addressLength) };
}
