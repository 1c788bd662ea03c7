import { sql } from 'kysely';
import type { AuditAction } from '../../model/audit.ts';
import type { Database, Queryable } from '../database.ts';
import {
  type ChainState,
  findNextChain,
  installationChain,
  isInChain,
  type Link,
  readChain,
} from './chain.ts';

/** Entries removed per transaction. */
const batchSize = 5_000;

/** Action of the entry that records a new checkpoint. */
const expireAction: AuditAction = 'audit.expire';

interface OldestRow {
  readonly position: number;
  readonly isExpired: boolean;
  /** Whether the time of the entry is in the future, because a clock was wrong when it was written. */
  readonly isFuture: boolean;
  readonly isExpireEntry: boolean;
}

/** Creates the query that removes old entries. */
export function makeAuditRetentionQueries({ sql: db }: Database) {
  return {
    /**
     * Removes sealed entries that are older than `days` days, from the start of each chain up to the first younger one. The
     * last removed entry of a chain becomes the checkpoint from which verification starts, and an entry records this.
     * Returns the number of removed entries.
     */
    async removeOlderThan(days: number): Promise<number> {
      let removedCount = 0;
      for (let chain: number | undefined = -1; ; ) {
        chain = await findNextChain(db, chain);
        if (chain === undefined) return removedCount;
        removedCount += await shortenChain(db, chain, days);
      }
    },
  };
}

async function shortenChain(db: Database['sql'], chain: number, days: number): Promise<number> {
  for (let removedCount = 0; ; ) {
    const state = await readChain(db, chain);
    const position = findCut(await listOldest(db, state, days));
    if (position === undefined) return removedCount;
    const removed = await db
      .transaction()
      .execute((transaction) => removeUpTo(transaction, state, position, days));
    if (removed === 0) return removedCount;
    removedCount += removed;
  }
}

async function listOldest(db: Queryable, state: ChainState, days: number): Promise<OldestRow[]> {
  const { rows } = await sql<OldestRow>`
    SELECT position, at < now() - make_interval(days => ${days}) AS "isExpired", at > now() AS "isFuture",
      action = ${expireAction} AS "isExpireEntry"
    FROM audit_log WHERE ${isInChain(state.chain)} AND position > ${state.checkpoint.position}
    ORDER BY position LIMIT ${batchSize}`.execute(db);
  return rows;
}

/**
 * Returns the position of the last entry to remove. Entries are not in the order of their times, because they are sealed
 * after they are written. An entry from the future does not keep the older ones that follow it. Entries that only record
 * earlier removals are kept until others can be removed as well; otherwise, the chain of an unused tenant would never rest.
 */
function findCut(rows: readonly OldestRow[]): number | undefined {
  const firstKept = rows.findIndex(({ isExpired, isFuture }) => !isExpired && !isFuture);
  const candidates = firstKept < 0 ? rows : rows.slice(0, firstKept);
  if (candidates.every(({ isExpired, isExpireEntry }) => !isExpired || isExpireEntry)) return undefined;
  return candidates.findLast(({ isExpired }) => isExpired)?.position;
}

async function removeUpTo(
  transaction: Queryable,
  { chain, tenant, checkpoint }: ChainState,
  position: number,
  days: number,
): Promise<number> {
  // If a different process has moved the checkpoint in the meantime, this one removes nothing.
  const { rows } = await sql<Pick<Link, 'hash'>>`
    UPDATE audit_chains SET checkpoint_position = log.position, checkpoint_hash = log.hash
    FROM (SELECT position, hash FROM audit_log WHERE ${isInChain(chain)} AND position = ${position}) log
    WHERE tenant_id = ${chain} AND checkpoint_position = ${checkpoint.position}
    RETURNING checkpoint_hash AS hash`.execute(transaction);
  const [cut] = rows;
  if (!cut) return 0;
  const removal = await sql`
    DELETE FROM audit_log WHERE ${isInChain(chain)} AND position <= ${position}`.execute(transaction);
  const removed = Number(removal.numAffectedRows ?? 0);
  const details = { removed, keep_days: days, position, hash: cut.hash.toString('hex') };
  await sql`
    INSERT INTO audit_log (tenant_id, tenant, actor, action, details)
    VALUES (${chain === installationChain ? null : chain}, ${tenant}, 'system', ${expireAction},
      ${JSON.stringify(details)}::jsonb)`.execute(transaction);
  return removed;
}
