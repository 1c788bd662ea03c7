import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { AuditAction, AuditEntry, ChainReport } from '../model/audit.ts';
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
  readonly action?: string | undefined;
  readonly target?: string | undefined;
}

/** Queries on the audit log. */
export type AuditQueries = ReturnType<typeof makeAuditQueries>;

/** Key of an advisory lock, so that only one process seals at a time. No other lock uses it. */
const sealLock = 7_239_014;

/** Entries sealed per transaction, and read at once by a verification. */
const batchSize = 1_000;

/** The text of a row that its hash covers. Times are in microseconds, because their text depends on the session. */
const hashedText = sql`jsonb_build_array(id, tenant_id, tenant, (extract(epoch FROM at) * 1000000)::bigint, actor, key_id,
  action, target, details)::text`;

const selectEntries = sql`
  SELECT id, at, tenant, actor, key_id AS "keyId", action, target, details, position FROM audit_log`;

interface UnsealedRow {
  readonly id: number;
  readonly chain: number;
  readonly text: string;
}

interface SealedRow extends UnsealedRow {
  readonly position: number;
  readonly hash: Buffer;
}

interface Chain {
  readonly chain: number;
  readonly lastPosition: number;
  readonly lastHash: Buffer;
  readonly checkpointPosition: number;
  readonly checkpointHash: Buffer;
}

/** @see AuditQueries */
export function makeAuditQueries({ sql: db }: Database) {
  const selectChain = sql`
    SELECT tenant_id AS chain, last_position AS "lastPosition", last_hash AS "lastHash",
      checkpoint_position AS "checkpointPosition", checkpoint_hash AS "checkpointHash" FROM audit_chains`;

  async function verifyChain(chain: Chain): Promise<ChainReport> {
    const tenantId = chain.chain === 0 ? null : chain.chain;
    let position = chain.checkpointPosition;
    let hash = chain.checkpointHash;
    const broken = (id: number | null, reason: string) => ({
      tenantId,
      checked: position - chain.checkpointPosition,
      broken: { position: position + 1, id, reason },
    });
    for (;;) {
      const { rows } = await sql<SealedRow>`
        SELECT id, position, hash, ${hashedText} AS text FROM audit_log
        WHERE coalesce(tenant_id, 0) = ${chain.chain} AND position > ${position}
        ORDER BY position LIMIT ${batchSize}`.execute(db);
      for (const row of rows) {
        if (row.position !== position + 1) return broken(null, 'the entry is missing');
        const expected = chainHash(hash, row.text);
        if (!expected.equals(row.hash)) return broken(row.id, 'the entry or its hash was changed');
        position += 1;
        hash = expected;
      }
      if (rows.length < batchSize) break;
    }
    if (position < chain.lastPosition) return broken(null, 'the entry is missing');
    return { tenantId, checked: position - chain.checkpointPosition, broken: null };
  }

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

    /** Appends entries that are not yet sealed to their chains. Returns the number of entries. */
    seal: (): Promise<number> =>
      db.transaction().execute(async (transaction) => {
        // If another process is sealing, there is nothing left to do.
        const lock = await sql<{ locked: boolean }>`
          SELECT pg_try_advisory_xact_lock(${sealLock}) AS locked`.execute(transaction);
        if (!lock.rows[0]?.locked) return 0;
        const { rows } = await sql<UnsealedRow>`
          SELECT id, coalesce(tenant_id, 0) AS chain, ${hashedText} AS text FROM audit_log
          WHERE position IS NULL ORDER BY id LIMIT ${batchSize}`.execute(transaction);
        if (rows.length === 0) return 0;
        const chains = await sql<Chain>`
          ${selectChain} WHERE tenant_id = ANY (${rows.map(({ chain }) => chain)}::int[])`.execute(
          transaction,
        );
        const { sealed, ends } = appendToChains(rows, chains.rows);
        await sql`
          UPDATE audit_log SET position = sealed.position, hash = decode(sealed.hash, 'hex')
          FROM jsonb_to_recordset(${JSON.stringify(sealed)}::jsonb) AS sealed (id bigint, position bigint, hash text)
          WHERE audit_log.id = sealed.id`.execute(transaction);
        await sql`
          INSERT INTO audit_chains (tenant_id, last_position, last_hash)
          SELECT chain, position, decode(hash, 'hex')
          FROM jsonb_to_recordset(${JSON.stringify(ends)}::jsonb) AS ends (chain int, position bigint, hash text)
          ON CONFLICT (tenant_id) DO UPDATE
          SET last_position = excluded.last_position, last_hash = excluded.last_hash`.execute(transaction);
        return rows.length;
      }),

    /** Recomputes all chains. Returns a report for each, and the number of entries that are not yet sealed. */
    async verify(): Promise<{ readonly chains: readonly ChainReport[]; readonly unsealed: number }> {
      const { rows: chains } = await sql<Chain>`${selectChain} ORDER BY tenant_id`.execute(db);
      const reports: ChainReport[] = [];
      for (const chain of chains) reports.push(await verifyChain(chain));
      const { rows } = await sql<{ unsealed: number }>`
        SELECT count(*) AS unsealed FROM audit_log WHERE position IS NULL`.execute(db);
      return { chains: reports, unsealed: rows[0]?.unsealed ?? 0 };
    },

    /**
     * Removes sealed entries that are older than `days` days. The last removed entry of each chain becomes the checkpoint
     * from which verification starts. Returns the number of entries.
     */
    removeOlderThan: (days: number): Promise<number> =>
      db.transaction().execute(async (transaction) => {
        await sql`SELECT pg_advisory_xact_lock(${sealLock}), set_config('vitrine.audit_retention', 'on', true)`.execute(
          transaction,
        );
        const { rows } = await sql<{ removed: number }>`
          WITH expired AS (
            SELECT coalesce(tenant_id, 0) AS chain, max(position) AS position FROM audit_log
            WHERE at < now() - make_interval(days => ${days}) AND position IS NOT NULL GROUP BY 1),
          checkpoints AS (
            UPDATE audit_chains SET checkpoint_position = log.position, checkpoint_hash = log.hash
            FROM expired JOIN audit_log log ON coalesce(log.tenant_id, 0) = expired.chain AND log.position = expired.position
            WHERE audit_chains.tenant_id = expired.chain),
          removed AS (
            DELETE FROM audit_log USING expired
            WHERE coalesce(audit_log.tenant_id, 0) = expired.chain AND audit_log.position <= expired.position
            RETURNING 1)
          SELECT count(*) AS removed FROM removed`.execute(transaction);
        return rows[0]?.removed ?? 0;
      }),
  };
}

function matchesFilter(
  principal: Pick<Principal, 'tenantId'>,
  { tenant, action, target }: AuditFilter,
): RawBuilder<boolean> {
  return allOf([
    isVisibleTo(principal, 'tenant_id'),
    tenant === undefined ? undefined : sql`tenant = ${tenant}`,
    action === undefined ? undefined : sql`action = ${action}`,
    target === undefined ? undefined : sql`target = ${target}`,
  ]);
}

/** Computes positions and hashes. @param chains the chains that exist */
function appendToChains(rows: readonly UnsealedRow[], chains: readonly Chain[]) {
  const ends = new Map(
    chains.map(({ chain, lastPosition, lastHash }) => [chain, { position: lastPosition, hash: lastHash }]),
  );
  const sealed = rows.map(({ id, chain, text }) => {
    const end = ends.get(chain) ?? { position: 0, hash: Buffer.alloc(0) };
    const next = { position: end.position + 1, hash: chainHash(end.hash, text) };
    ends.set(chain, next);
    return { id, position: next.position, hash: next.hash.toString('hex') };
  });
  return {
    sealed,
    ends: [...ends].map(([chain, { position, hash }]) => ({ chain, position, hash: hash.toString('hex') })),
  };
}

function chainHash(previous: Buffer, text: string): Buffer {
  return createHash('sha256').update(previous).update(text).digest();
}
