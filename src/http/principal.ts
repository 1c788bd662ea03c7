import type { FastifyRequest } from 'fastify';
import { openPrincipal, type Principal } from '../model/principal.ts';

/** Who makes this request. Every route asks here, so that access control has one place to live in. */
export function principalOf(_request: FastifyRequest): Principal {
  return openPrincipal;
}
