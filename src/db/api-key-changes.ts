import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { Role, Scope } from '../model/access.ts';
import type { Principal } from '../model/principal.ts';
import { type Actor, insertAudit } from './audit.ts';
import { retrying, retryingTransaction } from './engine/retrying.ts';
import { isVisibleTo } from './lists.ts';
import type { Schema } from './schema.ts';

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

/** What became of a new key, and for how long a key of its issuer may be valid; `null` if for any time. */
export interface IssueResult {
  readonly outcome: 'issued' | 'issuer-not-active' | 'outlives-issuer';
  readonly maxExpirySeconds: number | null;
}

/** What became of a key that was to replace another one, and the id of the key that has done so already, if any. */
export interface ReplaceResult extends Omit<IssueResult, 'outcome'> {
  readonly outcome: IssueResult['outcome'] | 'replaced-before' | 'replaced-not-active';
  readonly replacedBy: string | null;
}

/** A key that was just revoked. */
export interface RevokedKey {
  readonly id: string;
  readonly name: string;
}

/** What a revocation has done. */
export interface Revocation {
  /** The keys that were revoked, without those that had been revoked before. Oldest first. */
  readonly revoked: readonly RevokedKey[];
  /** How many keys that were created or rotated from the key, or by one of these, still work. */
  readonly activeDescendants: number;
}

type RevokedRow = Revocation & { readonly known: number };

const isActive = sql`revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())`;

/** Queries that create, replace and revoke API keys, each with its entries in the audit log. */
export function makeApiKeyChanges(db: Kysely<Schema>) {
  return {
    /**
     * Stores a key. A key without an expiry gets that of its creator. Changes nothing if the creator is no longer active, or if
     * the key would outlive it.
     */
    insert: (key: NewApiKeyRow): Promise<IssueResult> =>
      retrying(async () => {
        const { rows } = await sql<IssueResult>`
          -- Locked, so that the creator cannot be revoked together with the keys that it has created, but without this one.
          WITH creator AS MATERIALIZED (
            SELECT expires_at FROM api_keys WHERE id = ${key.actor.keyId} AND ${isActive} FOR SHARE),
          bounds AS (
            SELECT ${key.actor.keyId}::text IS NULL OR EXISTS (SELECT FROM creator) AS is_creator_active,
              (SELECT expires_at FROM creator) AS latest,
              coalesce(now() + make_interval(secs => ${key.expiresInSeconds}), (SELECT expires_at FROM creator)) AS expires_at),
          inserted_key AS (
            INSERT INTO api_keys (id, name, tenant_id, role, scopes, secret_id, hash, created_by, creator_id, issuer_id, expires_at)
            SELECT ${key.id}, ${key.name}, ${key.tenantId}, ${key.role}, ${key.scopes}, ${key.secretId}, ${key.hash},
              ${key.actor.subject}, ${key.actor.keyId}, ${key.actor.keyId}, expires_at
            FROM bounds WHERE is_creator_active AND (latest IS NULL OR expires_at <= latest)
            RETURNING id, tenant_id, name, scopes, expires_at),
          written_entry AS (${insertAudit(key.actor, {
            ...keyAudit,
            action: 'key.create',
            from: sql`inserted_key`,
            details: sql`${keyAudit.details} || jsonb_build_object('expires_at', ${utcText(sql`expires_at`)})`,
          })})
          SELECT CASE WHEN EXISTS (SELECT FROM inserted_key) THEN 'issued'
              WHEN is_creator_active THEN 'outlives-issuer' ELSE 'issuer-not-active' END AS outcome,
            floor(extract(epoch FROM latest - now()))::float8 AS "maxExpirySeconds"
          FROM bounds`.execute(db);
        return firstOf(rows);
      }),

    /**
     * Stores a key with the rights and the expiry of the key `replacedId`, and lets that one expire after `overlapSeconds`.
     * Changes nothing if that key has been replaced before, if it or the actor's key is no longer active, or if the new key
     * would outlive the actor's.
     */
    replace: (replacedId: string, key: ReplacementRow, overlapSeconds: number): Promise<ReplaceResult> =>
      retryingTransaction(db, async (transaction) => {
        // Locked by a statement of its own, so that the next one sees a replacement that was stored during the wait.
        await sql`
          SELECT FROM api_keys WHERE id IN (${replacedId}, ${key.actor.keyId}) ORDER BY id FOR UPDATE`.execute(
          transaction,
        );
        const { rows } = await insertReplacement(replacedId, key, overlapSeconds).execute(transaction);
        return firstOf(rows);
      }),

    /** Revokes a key that the principal may see. Returns `undefined` if there is no such key. */
    async revoke(principal: Principal, id: string): Promise<Revocation | undefined> {
      const { rows } = await sql<RevokedRow>`
        WITH RECURSIVE ${lineOf(principal, id)},
          revoked_key AS (${revokeKeys(sql`SELECT id FROM line WHERE id = ${id}`)}),
          written_entry AS (${insertAudit(principal, { ...keyAudit, action: 'key.revoke', from: sql`revoked_key` })})
        SELECT ${revokedColumns}, (
          SELECT count(*) FROM api_keys WHERE id IN (SELECT id FROM line) AND id <> ${id} AND ${isActive})::int AS "activeDescendants"
        `.execute(db);
      const { known, ...revocation } = firstOf(rows);
      return known === 0 ? undefined : revocation;
    },

    /**
     * Revokes a key that the principal may see, with every key that was created or rotated from it, or by one of these. Returns
     * `undefined` if there is no such key.
     */
    revokeWithDescendants: (principal: Principal, id: string): Promise<Revocation | undefined> =>
      retryingTransaction(db, async (transaction) => {
        const revoked: RevokedKey[] = [];
        for (;;) {
          const { rows } = await sql<RevokedRow>`
            WITH RECURSIVE ${lineOf(principal, id)},
              revoked_key AS (${revokeKeys(sql`SELECT id FROM line`)}),
              written_entry AS (${insertAudit(principal, { ...keyAudit, action: 'key.revoke', from: sql`revoked_key` })})
            SELECT ${revokedColumns}, 0 AS "activeDescendants"`.execute(transaction);
          const row = firstOf(rows);
          if (row.known === 0) return undefined;
          // A key that was just revoked may have created another one after the statement began. From now on, it cannot.
          if (row.revoked.length === 0) return { revoked, activeDescendants: 0 };
          revoked.push(...row.revoked);
        }
      }),
  };
}

/** Returns the statement of `replace`, which needs locks on both keys. */
function insertReplacement(
  replacedId: string,
  key: ReplacementRow,
  overlapSeconds: number,
): RawBuilder<ReplaceResult> {
  const { actor } = key;
  const writtenEntry = insertAudit(actor, {
    action: 'key.rotate',
    from: sql`replaced_key`,
    tenantId: sql`replaced_key.tenant_id`,
    target: sql`replaced_key.id`,
    details: sql`jsonb_build_object('replaced_by', ${key.id}::text, 'overlap', ${overlapSeconds}::int,
      'expires_at', ${utcText(sql`replaced_key.expires_at`)})`,
  });
  return sql<ReplaceResult>`
    WITH active_keys AS MATERIALIZED (
      SELECT * FROM api_keys WHERE id IN (${replacedId}, ${actor.keyId}) AND ${isActive}),
    bounds AS (
      SELECT ${actor.keyId}::text IS NULL OR EXISTS (
          SELECT FROM active_keys WHERE id = ${actor.keyId}) AS is_issuer_active,
        (SELECT expires_at FROM active_keys WHERE id = ${actor.keyId}) AS latest,
        -- Earlier versions replaced a key several times.
        (SELECT id FROM api_keys WHERE replaced_id = ${replacedId} ORDER BY created_at DESC LIMIT 1) AS replaced_by),
    replaced_key AS (
      SELECT active_keys.* FROM active_keys, bounds
      WHERE id = ${replacedId} AND replaced_by IS NULL AND is_issuer_active AND (latest IS NULL OR expires_at <= latest)),
    expiring_key AS (
      UPDATE api_keys SET expires_at = least(api_keys.expires_at, now() + make_interval(secs => ${overlapSeconds}))
      FROM replaced_key WHERE api_keys.id = replaced_key.id),
    written_entry AS (${writtenEntry}),
    inserted_key AS (
      INSERT INTO api_keys (id, name, tenant_id, role, scopes, secret_id, hash, created_by, creator_id, issuer_id, expires_at, replaced_id)
      -- The creator stays the same, because it bounds the rights of the key.
      SELECT ${key.id}, name, tenant_id, role, scopes, ${key.secretId}, ${key.hash}::bytea, ${actor.subject}, creator_id,
        ${actor.keyId}, expires_at, id FROM replaced_key RETURNING id)
    SELECT CASE WHEN EXISTS (SELECT FROM inserted_key) THEN 'issued'
        WHEN NOT is_issuer_active THEN 'issuer-not-active'
        WHEN replaced_by IS NOT NULL THEN 'replaced-before'
        WHEN EXISTS (SELECT FROM active_keys WHERE id = ${replacedId}) THEN 'outlives-issuer'
        ELSE 'replaced-not-active' END AS outcome,
      floor(extract(epoch FROM latest - now()))::float8 AS "maxExpirySeconds", replaced_by AS "replacedBy"
    FROM bounds`;
}

/** Returns a CTE of the ids of a key and its descendants, as far as the principal may see them. */
function lineOf(principal: Principal, id: string): RawBuilder<unknown> {
  return sql`line AS (
    SELECT id FROM api_keys WHERE id = ${id} AND ${isVisibleTo(principal, 'tenant_id')}
    UNION
    SELECT k.id FROM line JOIN api_keys k ON k.issuer_id = line.id OR k.replaced_id = line.id
    WHERE ${isVisibleTo(principal, 'k.tenant_id')})`;
}

/** @param ids a query of ids of keys */
function revokeKeys(ids: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`
    UPDATE api_keys SET revoked_at = now() WHERE id IN (${ids}) AND revoked_at IS NULL
    RETURNING id, tenant_id, name, scopes, created_at`;
}

const revokedColumns = sql`
  (SELECT count(*) FROM line)::int AS known,
  (SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'name', name) ORDER BY created_at, id), '[]') FROM revoked_key) AS revoked`;

function firstOf<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('A query that always returns a row has returned none.');
  return row;
}

/** Converts a time to ISO 8601 in UTC, whatever the time zone of the connection. */
function utcText(time: RawBuilder<unknown>): RawBuilder<unknown> {
  return sql`to_char(${time} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
}

/** Parts of the audit entries on a key, which is a row with `id`, `tenant_id`, `name` and `scopes`. */
const keyAudit = {
  tenantId: sql`tenant_id`,
  target: sql`id`,
  details: sql`jsonb_build_object('name', name, 'scopes', scopes)`,
};
