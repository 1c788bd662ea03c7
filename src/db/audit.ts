import { type RawBuilder, sql } from 'kysely';
import type { AuditAction, AuditEntry } from '../model/audit.ts';
import type { Page, PageRequest } from '../model/page.ts';
import type { Principal } from '../model/principal.ts';
import type { Database } from './database.ts';
import { allOf, isAfterCursor, isVisibleTo, limitTo, buildPage } from './lists.ts';

/** Who is recorded as the actor of an action. */
export type Actor = Pick<Principal, 'subject' | 'keyId'>;

/** Columns of an entry, as SQL expressions over the rows of `from`. One entry is written for each row. */
interface AuditSource {
  readonly action: AuditAction;
  /** The rows that were acted on, usually a CTE of the statement that performs the action. */
  readonly from: RawBuilder<unknown>;
  readonly tenantId: RawBuilder<unknown>;
  readonly target: RawBuilder<unknown>;
  /** A `jsonb` expression. */
  readonly details?: RawBuilder<unknown>;
}

/**
 * Returns an `INSERT` of audit entries, for use as a statement or as a CTE of the statement that performs the action, so
 * that an action and its entry are committed together.
 */
export function insertAudit(actor: Actor, source: AuditSource): RawBuilder<unknown> {
  return sql`
    INSERT INTO audit_log (tenant_id, tenant, actor, key_id, action, target, details)
    SELECT ${source.tenantId}, (SELECT name FROM tenants WHERE id = ${source.tenantId}), ${actor.subject}::text,
      ${actor.keyId}::text, ${source.action}::text, ${source.target}, ${source.details ?? sql`'{}'::jsonb`}
    FROM ${source.from}`;
}

/** Selects entries. An entry must match every field that is set. */
export interface AuditFilter {
  readonly tenant?: string | undefined;
  /** Id or name of an API key, or the name of an actor without one, such as `system`. */
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** Queries on the audit log. */
export type AuditQueries = ReturnType<typeof makeAuditQueries>;

/** Entries read at once by an export. */
const batchSize = 1_000;

const selectEntries = sql`
  SELECT id, at, tenant, actor, key_id AS "keyId", action, target, details, position,
    encode(hash, 'hex') AS hash FROM audit_log`;

/** @see AuditQueries */
export function makeAuditQueries({ sql: db }: Database) {
  return {
    /** Lists entries that the principal may see, newest first. */
    async list(
      principal: Pick<Principal, 'tenantId'>,
      filter: AuditFilter,
      page: PageRequest,
    ): Promise<Page<AuditEntry>> {
      const matches = matchesFilter(principal, filter);
      const { rows } = await sql<AuditEntry>`
        ${selectEntries} WHERE ${matches} AND ${isAfterCursor(page, 'id')} ORDER BY id DESC ${limitTo(page)}`.execute(
        db,
      );
      const count = await sql<{ total: number }>`
        SELECT count(*) AS total FROM audit_log WHERE ${matches}`.execute(db);
      return buildPage(rows, page.limit, count.rows[0]?.total ?? 0, (entry) => entry);
    },

    /** Returns the next entries after `afterId` that the principal may see, oldest first. */
    async listFrom(
      principal: Pick<Principal, 'tenantId'>,
      filter: AuditFilter,
      afterId: number,
    ): Promise<AuditEntry[]> {
      const { rows } = await sql<AuditEntry>`
        ${selectEntries} WHERE ${matchesFilter(principal, filter)} AND id > ${afterId} ORDER BY id LIMIT ${batchSize}`.execute(
        db,
      );
      return rows;
    },

    /**
     * Records that a purge starts. The images that it removes are recorded one by one, each in the transaction that removes
     * it, because a purge is no transaction.
     * @param tenantId `null` for a purge of all tenants
     */
    async recordPurge(
      actor: Actor,
      tenantId: number | null,
      details: Readonly<Record<string, string | number>>,
    ): Promise<void> {
      await insertAudit(actor, {
        action: 'purge.run',
        from: sql`(SELECT) purge`,
        tenantId: sql`${tenantId}::int`,
        target: sql`NULL::text`,
        details: sql`${JSON.stringify(details)}::jsonb`,
      }).execute(db);
    },
  };
}

function matchesFilter(
  principal: Pick<Principal, 'tenantId'>,
  { tenant, actor, action, target, since, until }: AuditFilter,
): RawBuilder<boolean> {
  return allOf([
    isVisibleTo(principal, 'tenant_id'),
    // A tenant that was removed and created again has several ids. The chains also know the names of removed tenants.
    tenant === undefined
      ? undefined
      : sql`tenant_id = ANY (ARRAY(
          SELECT tenant_id FROM audit_chains WHERE tenant = ${tenant} UNION SELECT id FROM tenants WHERE name = ${tenant}))`,
    actor === undefined ? undefined : isBy(principal, actor),
    action === undefined ? undefined : sql`action = ${action}`,
    target === undefined ? undefined : sql`target = ${target}`,
    since === undefined ? undefined : sql`at >= ${since}`,
    until === undefined ? undefined : sql`at < ${until}`,
  ]);
}

/** Condition on the actor. Several keys may have the same name. */
function isBy(principal: Pick<Principal, 'tenantId'>, actor: string): RawBuilder<boolean> {
  return sql`CASE WHEN key_id IS NULL THEN actor ELSE key_id END = ANY (ARRAY(
    SELECT ${actor}::text UNION
    SELECT id FROM api_keys WHERE name = ${actor} AND ${isVisibleTo(principal, 'tenant_id')}))`;
}
