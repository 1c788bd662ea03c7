import { type RawBuilder, sql } from 'kysely';
import type { Scope } from '../model/access.ts';
import type { ApiKey } from '../model/api-key.ts';
import type { Principal } from '../model/principal.ts';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';
import { makeApiKeyChanges } from './api-key-changes.ts';
import { isVisibleTo } from './lists.ts';

/** Queries on API keys. */
export type ApiKeyQueries = ReturnType<typeof makeApiKeyQueries>;

/** A stored key, with the id of the secret that hashed it. */
export interface ListedApiKey extends Omit<ApiKey, 'hasSecret' | 'hasNewestSecret'> {
  readonly secretId: string;
}

/** How many keys have neither expired nor been revoked. */
export interface KeyCounts {
  readonly active: number;
  /** Of these, how many need a secret that is missing. */
  readonly unusable: number;
  /** How many need a secret that is not the newest one. */
  readonly outdated: number;
}

/** What proves that a key is genuine. */
export interface StoredHash {
  readonly secretId: string;
  readonly hash: Buffer;
}

/** What a genuine key may do, and whether it still works. */
export interface StoredApiKey {
  readonly name: string;
  readonly tenant: Tenant | null;
  /** The key's own scopes that every key in its line of creators has too. */
  readonly scopes: readonly Scope[];
  /** Milliseconds until the key expires, by the database clock; `null` if it does not expire. */
  readonly expiresInMs: number | null;
  readonly isRevoked: boolean;
}

/** Uses of a key are recorded at most once in this time. */
const useAccuracySeconds = 60;

/** Creators to follow. A longer line of creators leaves the key without scopes. */
const maxCreators = 32;

/** Stands for the hash of an unknown key. No HMAC has this value. */
const noHash = Buffer.alloc(32);

const keyColumns = sql`
  k.id, k.name, t.name AS tenant, k.role, k.scopes, k.created_by AS "createdBy", k.replaced_id AS "replacedId",
  k.created_at AS "createdAt", k.expires_at AS "expiresAt", k.revoked_at AS "revokedAt", k.secret_id AS "secretId", k.last_used_at AS "lastUsedAt"`;

/** @see ApiKeyQueries */
export function makeApiKeyQueries({ sql: db }: Database) {
  async function selectOne(condition: RawBuilder<unknown>): Promise<ListedApiKey | undefined> {
    const { rows } = await sql<ListedApiKey>`
      SELECT ${keyColumns} FROM api_keys k LEFT JOIN tenants t ON t.id = k.tenant_id WHERE ${condition}`.execute(
      db,
    );
    return rows[0];
  }

  return {
    ...makeApiKeyChanges(db),

    /** Returns a key that the principal may see. */
    find: (principal: Pick<Principal, 'tenantId'>, id: string): Promise<ListedApiKey | undefined> =>
      selectOne(sql`k.id = ${id} AND ${isVisibleTo(principal, 'k.tenant_id')}`),

    /** Lists keys, newest first, starting after the key `afterId`. */
    async list(
      principal: Pick<Principal, 'tenantId'>,
      limit: number,
      afterId: string | undefined,
    ): Promise<ListedApiKey[]> {
      const isAfter =
        afterId === undefined
          ? sql`true`
          : sql`(k.created_at, k.id) < (SELECT created_at, id FROM api_keys WHERE id = ${afterId})`;
      const { rows } = await sql<ListedApiKey>`
        SELECT ${keyColumns} FROM api_keys k LEFT JOIN tenants t ON t.id = k.tenant_id
        WHERE ${isVisibleTo(principal, 'k.tenant_id')} AND ${isAfter}
        ORDER BY k.created_at DESC, k.id DESC LIMIT ${limit}`.execute(db);
      return rows;
    },

    /**
     * Returns the hash of the key with this id. An unknown id gets a hash that no key has, in the same time: the query always
     * returns one row of the same size, so that nobody can find out which ids exist.
     */
    async findHash(id: string): Promise<StoredHash> {
      const { rows } = await sql<StoredHash>`
        SELECT coalesce(k.secret_id, '00000000') AS "secretId", coalesce(k.hash, ${noHash}::bytea) AS hash
        FROM (VALUES (${id}::text)) AS wanted (id) LEFT JOIN api_keys k ON k.id = wanted.id`.execute(db);
      return rows[0] ?? { secretId: '', hash: noHash };
    },

    /** Returns what the key with this id may do. Slower than `findHash`, so call it for genuine keys only. */
    async findStored(id: string): Promise<StoredApiKey | undefined> {
      const { rows } = await sql<StoredRow>`
        -- A key never has more rights than the key that created it, even if its row has been tampered with.
        WITH RECURSIVE line AS (
          SELECT k.*, 1 AS depth FROM api_keys k WHERE id = ${id}
          UNION ALL
          SELECT creator.*, line.depth + 1 FROM api_keys creator JOIN line ON creator.id = line.creator_id
          WHERE line.depth < ${maxCreators})
        SELECT k.name, k.tenant_id AS "tenantId", t.name AS "tenantName",
          k.revoked_at IS NOT NULL AS "isRevoked",
          (extract(epoch FROM k.expires_at - now()) * 1000)::float8 AS "expiresInMs",
          CASE WHEN EXISTS (SELECT 1 FROM line WHERE tenant_id IS NOT NULL AND tenant_id IS DISTINCT FROM k.tenant_id)
              OR (SELECT count(*) FILTER (WHERE creator_id IS NULL) FROM line) = 0 THEN '{}'
            ELSE ARRAY(SELECT scope FROM unnest(k.scopes) AS scope WHERE NOT EXISTS (
              SELECT 1 FROM line WHERE scope <> ALL (line.scopes))) END AS scopes
        FROM api_keys k LEFT JOIN tenants t ON t.id = k.tenant_id WHERE k.id = ${id}`.execute(db);
      const [row] = rows;
      if (!row) return undefined;
      const { tenantId, tenantName, ...key } = row;
      return { ...key, tenant: tenantId === null ? null : { id: tenantId, name: tenantName ?? '' } };
    },

    /** Returns how many milliseconds a key is still valid (`null`: for any time); `undefined` if it is not valid any more. */
    async findRemainingMs(id: string): Promise<number | null | undefined> {
      const { rows } = await sql<{ remainingMs: number | null }>`
        SELECT (extract(epoch FROM expires_at - now()) * 1000)::float8 AS "remainingMs" FROM api_keys
        WHERE id = ${id} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`.execute(db);
      return rows[0]?.remainingMs;
    },

    /** Whether a valid key without a tenant, hashed with one of the secrets, may create other keys. */
    async hasManagingKey(secretIds: readonly string[]): Promise<boolean> {
      const { rows } = await sql<{ exists: boolean }>`
        SELECT EXISTS (SELECT FROM api_keys WHERE tenant_id IS NULL AND 'keys.manage' = ANY (scopes)
          AND secret_id = ANY (${secretIds}::text[]) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))`.execute(
        db,
      );
      return rows[0]?.exists ?? false;
    },

    /**
     * Counts the keys.
     * @param secretIds ids of the secrets in use, newest first
     */
    async countActive(secretIds: readonly string[]): Promise<KeyCounts> {
      const { rows } = await sql<KeyCounts>`
        SELECT count(*)::int AS active, (count(*) FILTER (WHERE secret_id <> ALL (${secretIds}::text[])))::int AS unusable,
          (count(*) FILTER (WHERE secret_id = ANY (${secretIds.slice(1)}::text[])))::int AS outdated
        FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`.execute(db);
      return rows[0] ?? { active: 0, unusable: 0, outdated: 0 };
    },

    /** Records that a key was used just now. */
    async recordUse(id: string): Promise<void> {
      await sql`
        UPDATE api_keys SET last_used_at = now() WHERE id = ${id}
          AND (last_used_at IS NULL OR last_used_at < now() - make_interval(secs => ${useAccuracySeconds}))`.execute(
        db,
      );
    },

    /** Replaces the hash of a key after a change of `SECRET_KEY`. */
    async rehash(id: string, secretId: string, hash: Buffer): Promise<void> {
      await sql`UPDATE api_keys SET secret_id = ${secretId}, hash = ${hash} WHERE id = ${id}`.execute(db);
    },
  };
}

type StoredRow = Omit<StoredApiKey, 'tenant'> & {
  readonly tenantId: number | null;
  readonly tenantName: string | null;
};
