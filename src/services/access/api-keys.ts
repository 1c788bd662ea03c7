import type { IssueResult, ReplaceResult, Revocation } from '../../db/api-key-changes.ts';
import type { ApiKeyQueries, KeyCounts, ListedApiKey } from '../../db/api-keys.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import { AppError } from '../../errors.ts';
import { allScopes, type Role, roles, type Scope } from '../../model/access.ts';
import type { ApiKey } from '../../model/api-key.ts';
import type { Logger } from '../../model/logger.ts';
import { callerFields, type Principal } from '../../model/principal.ts';
import type { Tenant } from '../../model/tenant.ts';
import { assertTenantName, assertTenantAllowed } from '../tenants.ts';
import { generateApiKey } from './api-key-format.ts';
import type { Authenticate } from './authenticate.ts';
import type { SecretRing } from './secret-ring.ts';

/** A key to create. It gets the scopes of `role` and `scopes` combined. */
export interface ApiKeyRequest {
  readonly name: string;
  /** Default: the tenant of the caller; for a caller without a tenant, all tenants. */
  readonly tenantName?: string | undefined;
  readonly role?: Role | undefined;
  readonly scopes?: readonly Scope[] | undefined;
  /** Default: the key expires with the key of the caller; for a caller whose key does not expire, never. */
  readonly expiresInSeconds?: number | undefined;
}

/** A key that was just created. */
export interface CreatedApiKey extends ApiKey {
  /** The key itself, which cannot be read again. */
  readonly text: string;
  /** Whether the tenant of the key was created with it. */
  readonly isTenantNew: boolean;
}

/** Manages API keys. A caller that is bound to a tenant sees only that tenant's keys. */
export interface ApiKeys {
  /**
   * Creates a key.
   * @throws {AppError} `key_exceeds_caller` if the key would have rights that the caller lacks, or outlive the caller's key;
   *   `tenant_not_allowed`, `invalid_tenant`, `invalid_request`; `unauthenticated` if the caller's key has just ended.
   */
  create(principal: Principal, request: ApiKeyRequest): Promise<CreatedApiKey>;
  /** Lists keys, newest first, starting after the key `afterId`. */
  list(principal: Principal, limit: number, afterId?: string): Promise<ApiKey[]>;
  /** @throws {AppError} `key_not_found`. */
  find(principal: Principal, id: string): Promise<ApiKey>;
  /**
   * Creates a key with the same rights and expiry, and lets the old one expire after `overlapSeconds`.
   * @throws {AppError} `key_not_found`; `key_replaced` if it was rotated before; `key_not_active` if it has been revoked or has
   *   expired; `key_exceeds_caller`; `unauthenticated`.
   */
  rotate(principal: Principal, id: string, overlapSeconds: number): Promise<CreatedApiKey>;
  /**
   * Revokes a key. Other processes reject it within 5 s. Safe to repeat. Needs no more than the right to manage keys, because
   * a revocation gives nobody a right.
   * @throws {AppError} `key_not_found`.
   */
  revoke(principal: Principal, id: string): Promise<Revocation>;
  /**
   * Revokes a key together with all keys that were created or rotated from it or with it, and with theirs.
   * @throws {AppError} `key_not_found`.
   */
  revokeWithDescendants(principal: Principal, id: string): Promise<Revocation>;
}

interface Dependencies {
  readonly apiKeys: ApiKeyQueries;
  readonly tenants: Pick<TenantQueries, 'find' | 'ensure'>;
  readonly ring: SecretRing;
  readonly authenticate: Pick<Authenticate, 'forget'>;
  readonly logger: Logger;
}

/** @see ApiKeys */
export function makeApiKeys({ apiKeys, tenants, ring, authenticate, logger }: Dependencies): ApiKeys {
  async function find(principal: Principal, id: string): Promise<ApiKey> {
    const key = await apiKeys.find(principal, id);
    if (!key) throw keyNotFound(id);
    return toApiKey(key);
  }

  function toApiKey({ secretId, ...key }: ListedApiKey): ApiKey {
    return { ...key, hasSecret: ring.ids.includes(secretId), hasNewestSecret: secretId === ring.newestId };
  }

  /** Generates a key; returns its text and the part of its row that depends on it. */
  function generate(principal: Principal) {
    const { id, text } = generateApiKey();
    const { secretId, code } = ring.seal('api-key', text);
    return { text, row: { id, secretId, hash: code, actor: principal } };
  }

  /** Returns the tenant of a new key, which is created if necessary; `null` stands for all tenants. */
  async function tenantOf(
    principal: Principal,
    name: string | undefined,
  ): Promise<{ readonly tenant: Tenant | null; readonly isTenantNew: boolean }> {
    const tenantName = name ?? principal.tenantName;
    if (tenantName === null) return { tenant: null, isTenantNew: false };
    assertTenantName(tenantName);
    assertTenantAllowed(principal, tenantName);
    const isTenantNew = (await tenants.find(tenantName)) === undefined;
    return { tenant: await tenants.ensure(tenantName), isTenantNew };
  }

  function log(principal: Principal, keyId: string, message: string): void {
    logger.info({ keyId, ...callerFields(principal) }, message);
  }

  return {
    find,
    async list(principal, limit, afterId) {
      const keys = await apiKeys.list(principal, limit, afterId);
      return keys.map(toApiKey);
    },

    async create(principal, { name, tenantName, role, scopes = [], expiresInSeconds }) {
      const requested = scopesOf(role, scopes);
      assertWithinCaller(principal, requested);
      const { tenant, isTenantNew } = await tenantOf(principal, tenantName);
      const { text, row } = generate(principal);
      const result = await apiKeys.insert({
        ...row,
        name,
        tenantId: tenant?.id ?? null,
        role: scopes.length > 0 ? null : (role ?? null),
        scopes: requested,
        expiresInSeconds: expiresInSeconds ?? null,
      });
      assertIssued(result, 'expires_in');
      log(principal, row.id, 'an API key was created');
      return { ...(await find(principal, row.id)), text, isTenantNew };
    },

    async rotate(principal, id, overlapSeconds) {
      const old = await find(principal, id);
      assertWithinCaller(principal, old.scopes);
      const { text, row } = generate(principal);
      assertReplaced(id, await apiKeys.replace(id, row, overlapSeconds));
      authenticate.forget(id);
      log(principal, id, `an API key was replaced by ${row.id}`);
      return { ...(await find(principal, row.id)), text, isTenantNew: false };
    },

    async revoke(principal, id) {
      const revocation = await apiKeys.revoke(principal, id);
      if (revocation === undefined) throw keyNotFound(id);
      authenticate.forget(id);
      log(principal, id, 'an API key was revoked');
      return revocation;
    },

    async revokeWithDescendants(principal, id) {
      const revocation = await apiKeys.revokeWithDescendants(principal, id);
      if (revocation === undefined) throw keyNotFound(id);
      for (const { id: revokedId } of revocation.revoked) {
        authenticate.forget(revokedId);
        log(principal, revokedId, `an API key was revoked together with ${id}`);
      }
      return revocation;
    },
  };
}

/** Describes the keys whose secret is missing; `undefined` if there are none. */
export function describeUnusableKeys({ active, unusable }: KeyCounts): string | undefined {
  if (unusable === 0) return undefined;
  const [subject, verb] =
    active === 1 ? ['The only active API key', 'was'] : [`${unusable} of ${active} active API keys`, 'were'];
  return `${subject} ${verb} hashed with a secret that is no longer in SECRET_KEY, so ${unusable === 1 ? 'it does' : 'they do'} not work.`;
}

/** How to make keys work whose secret is missing. */
export const unusableKeysRemedy =
  'Add the old secret after the new one in SECRET_KEY, or create new keys and revoke the old ones.';

/** For a caller whose key has ended since it was checked. */
export function keyHasEnded(): AppError {
  return new AppError('unauthenticated', 'The API key of this request has been revoked or has expired.');
}

function keyNotFound(id: string): AppError {
  return new AppError('key_not_found', `There is no API key ${JSON.stringify(id.slice(0, 32))}.`);
}

function scopesOf(role: Role | undefined, scopes: readonly Scope[]): readonly Scope[] {
  const requested = new Set<Scope>([...(role ? roles[role] : []), ...scopes]);
  if (requested.size > 0) return allScopes.filter((scope) => requested.has(scope));
  throw new AppError('invalid_request', 'A key needs a role or at least one scope.');
}

/** A key must not be able to create a stronger one. */
function assertWithinCaller({ scopes }: Principal, requested: readonly Scope[]): void {
  const missing = requested.filter((scope) => !scopes.has(scope));
  if (missing.length === 0) return;
  throw new AppError(
    'key_exceeds_caller',
    `A key cannot create or rotate a key with more rights than its own: it lacks ${missing.map((scope) => `"${scope}"`).join(', ')}.`,
  );
}

/** Rotated twice, a key would have two replacements, and the second would inherit the shortened expiry. */
function assertReplaced(id: string, { outcome, replacedBy, maxExpirySeconds }: ReplaceResult): void {
  if (outcome === 'replaced-before')
    throw new AppError(
      'key_replaced',
      `The API key ${id} was already replaced by ${replacedBy}; rotate that one, or create a new key if it no longer works.`,
    );
  if (outcome === 'replaced-not-active')
    throw new AppError(
      'key_not_active',
      `The API key ${id} has been revoked or has expired; create a new one.`,
    );
  assertIssued({ outcome, maxExpirySeconds }, 'rotation');
}

/** A key must not be able to live on in another one. */
function assertIssued(
  { outcome, maxExpirySeconds }: IssueResult,
  requested: 'expires_in' | 'rotation',
): void {
  if (outcome === 'issuer-not-active') throw keyHasEnded();
  if (outcome !== 'outlives-issuer') return;
  const left = `the key of this request expires in ${maxExpirySeconds} seconds`;
  throw new AppError(
    'key_exceeds_caller',
    requested === 'expires_in'
      ? `A key cannot create a key that outlives it: ${left}, so "expires_in" may be at most ${maxExpirySeconds}. Without "expires_in", both expire at the same time.`
      : `A key cannot rotate a key that outlives it: ${left}, and the rotated key would expire later or never.`,
  );
}
