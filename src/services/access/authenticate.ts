import { createHash, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { ApiKeyQueries, StoredApiKey } from '../../db/api-keys.ts';
import { AppError } from '../../errors.ts';
import { allScopes } from '../../model/access.ts';
import type { Logger } from '../../model/logger.ts';
import { type Identity, unrestrictedPrincipal } from '../../model/principal.ts';
import { parseApiKey } from './api-key-format.ts';
import type { SecretRing } from './secret-ring.ts';

/** Identifies callers by the API key that they send. */
export interface Authenticate {
  /** Returns the caller if the key was checked within the last seconds; `undefined` if `verify` must check it. */
  cached(key: string | undefined): Identity | undefined;
  /** Whether this process has accepted the key before, and has not rejected it since. */
  wasValid(key: string): boolean;
  /** Returns the caller. @throws {AppError} `unauthenticated`; `database_unavailable` if the key cannot be checked. */
  verify(key: string | undefined): Promise<Identity>;
  /** Forgets a key that has just been changed in this process. */
  forget(keyId: string): void;
}

interface Dependencies {
  readonly apiKeys: Pick<ApiKeyQueries, 'findHash' | 'findStored' | 'recordUse' | 'rehash'>;
  readonly ring: SecretRing;
  /** Keys with all rights that are not stored in the database, with the subject for logs. */
  readonly operatorKeys: readonly OperatorKey[];
  readonly logger: Logger;
}

/** A key with all rights that the operator has set, or that this installation has generated for its own commands. */
export interface OperatorKey {
  readonly subject: string;
  readonly key: string;
}

/** How long a checked key is trusted. Revocations must work within 5 s in every process. */
const trustMs = 3_000;

/** How often a process records the use of a key. */
const useIntervalMs = 60_000;

const maxCachedKeys = 10_000;

interface CheckedKey {
  readonly keyId: string | null;
  readonly identity: Identity;
  /** Until when the key may be trusted, on the clock of `performance.now()`. */
  readonly trustedUntil: number;
}

/** Authentication without keys: every caller may do everything, and a key that is sent is ignored. */
export const openAuthentication: Authenticate = {
  cached: () => unrestrictedPrincipal,
  wasValid: () => true,
  verify: () => Promise.resolve(unrestrictedPrincipal),
  forget: () => undefined,
};

/** @see Authenticate */
export function makeAuthenticate({ apiKeys, ring, operatorKeys, logger }: Dependencies): Authenticate {
  // By the digest of the key, so that no key stays in memory.
  const checkedKeys = new LRUCache<string, CheckedKey>({ max: maxCachedKeys });
  const recentlyUsed = new LRUCache<string, true>({ max: maxCachedKeys, ttl: useIntervalMs });
  const operators = operatorKeys.map(({ subject, key }) => ({ subject, digest: digestOf(key) }));

  function cached(key: string | undefined): Identity | undefined {
    if (key === undefined) return undefined;
    const checked = checkedKeys.get(digestOf(key).toString('base64'));
    return checked && performance.now() < checked.trustedUntil ? checked.identity : undefined;
  }

  async function check(key: string, digest: Buffer): Promise<CheckedKey> {
    const operator = operators.find((candidate) => timingSafeEqual(candidate.digest, digest));
    if (operator)
      return {
        keyId: null,
        identity: operatorIdentity(operator.subject),
        trustedUntil: Number.POSITIVE_INFINITY,
      };
    // Before the queries, because a key may be revoked while their result is on its way.
    const askedAt = performance.now();
    const keyId = parseApiKey(key);
    if (keyId === undefined) throw invalidKeyError('it is incomplete, mistyped, or not a key of Vitrine');
    // An unknown id takes the same steps as a wrong key, so that the time does not tell which ids exist.
    const { secretId, hash } = await apiKeys.findHash(keyId);
    const isGenuine = ring.verify('api-key', key, { secretId, code: hash });
    const stored = isGenuine ? await apiKeys.findStored(keyId) : undefined;
    if (!stored || !isValid(stored)) throw invalidKeyError('it is unknown, expired or revoked');
    if (secretId !== ring.newestId) await rehash(keyId, key);
    const trustedMs = Math.min(trustMs, stored.expiresInMs ?? trustMs);
    return { keyId, identity: identityOf(keyId, stored), trustedUntil: askedAt + trustedMs };
  }

  /** Makes the hash with the newest secret, so that the older secret can be removed from `SECRET_KEY`. */
  async function rehash(keyId: string, key: string): Promise<void> {
    const { secretId, code } = ring.seal('api-key', key);
    await apiKeys.rehash(keyId, secretId, code);
  }

  function recordUse(keyId: string): void {
    if (recentlyUsed.has(keyId)) return;
    recentlyUsed.set(keyId, true);
    apiKeys.recordUse(keyId).catch((error: unknown) => {
      logger.warn({ err: error, keyId }, 'the use of an API key could not be recorded');
    });
  }

  return {
    cached,
    wasValid: (key) => checkedKeys.has(digestOf(key).toString('base64')),
    async verify(key) {
      if (key === undefined) throw missingKeyError();
      const trusted = cached(key);
      if (trusted) return trusted;
      const digest = digestOf(key);
      // A key that is rejected stays forgotten.
      const checked = await check(key, digest).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'unauthenticated')
          checkedKeys.delete(digest.toString('base64'));
        throw error;
      });
      checkedKeys.set(digest.toString('base64'), checked);
      if (checked.keyId !== null) recordUse(checked.keyId);
      return checked.identity;
    },
    forget(keyId) {
      for (const [digest, checked] of checkedKeys.entries())
        if (checked.keyId === keyId) checkedKeys.delete(digest);
    },
  };
}

function digestOf(key: string): Buffer {
  return createHash('sha256').update(key).digest();
}

function isValid({ isRevoked, expiresInMs }: StoredApiKey): boolean {
  return !isRevoked && (expiresInMs === null || expiresInMs > 0);
}

function identityOf(keyId: string, { name, tenant, scopes }: StoredApiKey): Identity {
  return {
    subject: `key ${keyId} (${name})`,
    keyId,
    tenantId: tenant?.id ?? null,
    tenantName: tenant?.name ?? null,
    scopes: new Set(scopes),
  };
}

function operatorIdentity(subject: string): Identity {
  return { subject, keyId: null, tenantId: null, tenantName: null, scopes: new Set(allScopes) };
}

/** How to send a key, without a full stop. */
export const howToSend = 'Send a key in the header "Authorization: Bearer <key>" or "X-Api-Key"';

function missingKeyError(): AppError {
  return new AppError(
    'unauthenticated',
    `This request needs an API key. ${howToSend}; "vitrine keys create" or an administrator creates one.`,
  );
}

/** @param reason a clause; it must not tell unknown keys from expired or revoked ones */
function invalidKeyError(reason: string): AppError {
  return new AppError('unauthenticated', `The API key is not valid: ${reason}. ${howToSend}.`);
}
