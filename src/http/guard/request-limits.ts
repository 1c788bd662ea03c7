import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppError } from '../../errors.ts';
import { type Identity, unrestrictedPrincipal } from '../../model/principal.ts';
import { windowSeconds } from '../../model/request-counts.ts';
import type { Authenticate } from '../../services/access/authenticate.ts';
import type { LimitName, LimitUse, RequestLimiter } from '../../services/limits/request-limiter.ts';
import { type AddressTest, toAddressKey } from './connections-per-address.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** `false` if requests to the route do not count towards the limits on requests. Invalid keys always count. */
    readonly isCounted?: false;
  }
  interface FastifyRequest {
    /** The `RateLimit` headers of the response, as a flat array of names and values; `null` without a limit. */
    rateLimitHeaders: readonly string[] | null;
  }
}

/** Counts requests towards the limits per key and per address. */
export interface RequestLimits {
  /** Counts a request by its key, or by its address if it has none. @throws {AppError} `too_many_requests`. */
  countCaller(request: FastifyRequest, reply: FastifyReply, identity: Identity): void;
  /** Counts a request that has no valid key. @throws {AppError} `too_many_requests`. */
  countAddress(request: FastifyRequest, reply: FastifyReply): void;
  /**
   * Verifies a key. An address that has sent too many invalid keys can only use keys that this process has accepted
   * before, so that it cannot guess keys.
   * @throws {AppError} `too_many_requests`, `unauthenticated`, `database_unavailable`.
   */
  verifyKey(request: FastifyRequest, reply: FastifyReply, key: string): Promise<Identity>;
}

interface Dependencies {
  readonly limiter: RequestLimiter;
  readonly authenticate: Authenticate;
  /** Matches addresses that are not limited: this machine and trusted proxies. */
  readonly isExemptFromLimit: AddressTest;
}

/** @see RequestLimits */
export function makeRequestLimits({ limiter, authenticate, isExemptFromLimit }: Dependencies): RequestLimits {
  function count(request: FastifyRequest, reply: FastifyReply, name: LimitName, caller: string): void {
    if (request.routeOptions.config.isCounted === false && name !== 'invalid-keys') return;
    const use = limiter.take(name, caller);
    if (!use) return;
    setLimitHeaders(request, reply, use);
    if (!use.isExceeded) return;
    void reply.header('retry-after', use.resetSeconds);
    throw tooManyRequestsError(use);
  }

  /** Returns the address of the client, or `undefined` if it is not limited. A trusted proxy forwards that address. */
  function limitedAddress({ ip }: FastifyRequest): string | undefined {
    return isExemptFromLimit(ip) ? undefined : toAddressKey(ip);
  }

  function countAddress(request: FastifyRequest, reply: FastifyReply): void {
    const address = limitedAddress(request);
    if (address !== undefined) count(request, reply, 'address', address);
  }

  return {
    countCaller(request, reply, identity) {
      if (identity === unrestrictedPrincipal) countAddress(request, reply);
      else count(request, reply, 'key', identity.keyId ?? identity.subject);
    },
    countAddress,
    async verifyKey(request, reply, key) {
      const address = limitedAddress(request);
      if (address === undefined || authenticate.wasValid(key)) return authenticate.verify(key);
      // The key is counted before it is checked, because many requests may arrive during the check.
      count(request, reply, 'invalid-keys', address);
      try {
        const identity = await authenticate.verify(key);
        limiter.giveBack('invalid-keys', address);
        return identity;
      } catch (error) {
        // Without the database, no key can be checked, so none has been guessed.
        if (!(error instanceof AppError && error.code === 'unauthenticated'))
          limiter.giveBack('invalid-keys', address);
        throw error;
      }
    },
  };
}

/** Sets the headers of the Internet-Draft draft-ietf-httpapi-ratelimit-headers-11. */
function setLimitHeaders(
  request: FastifyRequest,
  reply: FastifyReply,
  { name, limit, remaining, resetSeconds }: LimitUse,
): void {
  const policy = `"${name}";q=${limit};w=${windowSeconds}`;
  const state = `"${name}";r=${remaining};t=${resetSeconds}`;
  request.rateLimitHeaders = ['ratelimit-policy', policy, 'ratelimit', state];
  void reply.header('ratelimit-policy', policy).header('ratelimit', state);
}

const usedUp: Readonly<Record<LimitName, (limit: number) => string>> = {
  key: (limit) =>
    `This API key has sent ${limit} requests in the current minute, which is the limit (REQUESTS_PER_KEY).`,
  address: (limit) =>
    `Your address has sent ${limit} requests without an API key in the current minute, which is the limit (REQUESTS_PER_ADDRESS).`,
  'invalid-keys': (limit) =>
    `Your address has sent ${limit} invalid API keys in the current minute, which is the limit (INVALID_KEYS_PER_ADDRESS), so this key was not checked.`,
};

function tooManyRequestsError({ name, limit, resetSeconds }: LimitUse): AppError {
  return new AppError('too_many_requests', `${usedUp[name](limit)} Try again in ${resetSeconds} s.`);
}
