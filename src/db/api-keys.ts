import { type RawBuilder, sql } from 'kysely';
import type { Role, Scope } from '../model/access.ts';
import type { ApiKey } from '../model/api-key.ts';
import type { Principal } from '../model/principal.ts';
import type { Tenant } from '../model/tenant.ts';
import type { Database } from './database.ts';
import { type Actor, insertAudit } from './audit.ts';
import { isVisibleTo } from './lists.ts';

/** Queries on API keys. */
export type ApiKeyQueries = ReturnType<typeof makeApiKeyQueries>;

/** The part of a stored key that is new in every rotation. */
export interface ReplacementRow {
  readonly id: string;
  readonly secretId: string;
  readonly hash: Buffer;
  /** Who creates the key. */
  readonly actor: Actor;
}

/** A key to store. */
export interface NewApiKeyRow extends ReplacementRow {
  readonly name: string;
  readonly tenantId: number | null;
  readonly role: Role | null;
  readonly scopes: readonly Scope[];
  /** Seconds until the key expires, by the database clock; `null` if it does not expire. */
  readonly expiresInSeconds: number | null;
}

/** A stored key, with the id of the secret that hashed it. */
export interface ListedApiKey extends Omit<ApiKey, 'hasSecret'> {
  readonly secretId: string;
}

/** How many keys have neither expired nor been revoked, and how many of them need a secret that is missing. */
export interface KeyCounts {
  readonly active: number;
  readonly unusable: number;
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
    /** Stores a key. */
    async insert(key: NewApiKeyRow): Promise<void> {
      await sql`
        WITH inserted_key AS (
          INSERT INTO api_keys (id, name, tenant_id, role, scopes, secret_id, hash, created_by, creator_id, expires_at)
          VALUES (${key.id}, ${key.name}, ${key.tenantId}, ${key.role}, ${key.scopes}, ${key.secretId}, ${key.hash},
            ${key.actor.subject}, ${key.actor.keyId}, now() + make_interval(secs => ${key.expiresInSeconds}))
          RETURNING id, tenant_id, name, scopes)
        ${insertAudit(key.actor, { ...keyAudit, action: 'key.create', from: sql`inserted_key` })}`.execute(
        db,
      );
    },

    /**
     * Stores a key with the rights and the expiry of the key `replacedId`, and lets that one expire after `overlapSeconds`.
     * Returns false, and changes nothing, if the replaced key has been revoked or has expired.
     */
    async replace(replacedId: string, key: ReplacementRow, overlapSeconds: number): Promise<boolean> {
      const { rows } = await sql`
        WITH replaced_key AS (
          SELECT * FROM api_keys
          WHERE id = ${replacedId} AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()) FOR UPDATE),
        expiring_key AS (
          UPDATE api_keys SET expires_at = least(api_keys.expires_at, now() + make_interval(secs => ${overlapSeconds}))
          FROM replaced_key WHERE api_keys.id = replaced_key.id),
        written_entry AS (${insertAudit(key.actor, {
          action: 'key.rotate',
          from: sql`replaced_key`,
          tenantId: sql`replaced_key.tenant_id`,
          target: sql`replaced_key.id`,
          details: sql`jsonb_build_object('replaced_by', ${key.id}::text)`,
        })})
        INSERT INTO api_keys (id, name, tenant_id, role, scopes, secret_id, hash, created_by, creator_id, expires_at, replaced_id)
        -- The creator stays the same, because it bounds the rights of the key.
        SELECT ${key.id}, name, tenant_id, role, scopes, ${key.secretId}, ${key.hash}::bytea, ${key.actor.subject}, creator_id,
          expires_at, id FROM replaced_key RETURNING id`.execute(db);
      return rows.length > 0;
    },

    /** Revokes a key that the principal may see. Returns whether there is such a key. */
    async revoke(principal: Principal, id: string): Promise<boolean> {
      const { rows } = await sql`
        WITH known_key AS (
          SELECT id FROM api_keys WHERE id = ${id} AND ${isVisibleTo(principal, 'tenant_id')}),
        revoked_key AS (
          UPDATE api_keys SET revoked_at = now() FROM known_key
          WHERE api_keys.id = known_key.id AND revoked_at IS NULL RETURNING api_keys.id, tenant_id, name, scopes),
        written_entry AS (${insertAudit(principal, { ...keyAudit, action: 'key.revoke', from: sql`revoked_key` })})
        SELECT id FROM known_key`.execute(db);
      return rows.length > 0;
    },

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

    /** Whether a valid key without a tenant may create other keys. */
    async hasManagingKey(): Promise<boolean> {
      const { rows } = await sql<{ exists: boolean }>`
        SELECT EXISTS (SELECT FROM api_keys WHERE tenant_id IS NULL AND 'keys.manage' = ANY (scopes)
          AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))`.execute(db);
      return rows[0]?.exists ?? false;
    },

    /** Counts the keys. A key is unusable if a secret that is not among `secretIds` hashed it. */
    async countActive(secretIds: readonly string[]): Promise<KeyCounts> {
      const { rows } = await sql<KeyCounts>`
        SELECT count(*)::int AS active, (count(*) FILTER (WHERE secret_id <> ALL (${secretIds}::text[])))::int AS unusable
        FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`.execute(db);
      return rows[0] ?? { active: 0, unusable: 0 };
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

/** Parts of the audit entries on a key, which is a row with `id`, `tenant_id`, `name` and `scopes`. */
const keyAudit = {
  tenantId: sql`tenant_id`,
  target: sql`id`,
  details: sql`jsonb_build_object('name', name, 'scopes', scopes)`,
};

type StoredRow = Omit<StoredApiKey, 'tenant'> & {
  readonly tenantId: number | null;
  readonly tenantName: string | null;
};
