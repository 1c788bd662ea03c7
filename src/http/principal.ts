import type { FastifyRequest } from 'fastify';
import type { Caller, Principal } from '../model/principal.ts';

/** Returns the caller of a request. Requests to open routes have none. */
export function getPrincipal(request: FastifyRequest): Principal {
  if (request.identity === null) throw new Error('An open route has no caller.');
  return { ...request.identity, caller: getCaller(request) };
}

/** Maximum length of a forwarded address. No IP address is longer, but a proxy may forward arbitrary text. */
const maxAddressLength = 64;

function getCaller({ raw, headers, ip }: FastifyRequest): Caller {
  const address = raw.socket.remoteAddress ?? 'unknown';
  if (headers['x-forwarded-for'] === undefined || ip === address) return { address };
  return { address, forwardedFor: ip.slice(0, maxAddressLength) };
}
