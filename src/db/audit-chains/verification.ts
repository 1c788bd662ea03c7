import { sql } from 'kysely';
import type { ChainDamage, ChainReport, UnsealedEntries } from '../../model/audit.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database, Queryable } from '../database.ts';
import { isVisibleTo } from '../lists.ts';
import {
  chainOf,
  type ChainState,
  chainHash,
  findNextChain,
  hashedText,
  installationChain,
  isInChain,
  type Link,
  readChain,
} from './chain.ts';

/** Entries read at once. */
const batchSize = 1_000;

/** Number of unsealed entries that a report lists. */
const maxListedUnsealed = 100;

const maxListedHeads = 100;

/** The stored end of a chain. `chain` is the number of its tenant; 0 is the chain of the installation. */
interface ChainHead {
  readonly chain: number;
  readonly position: number;
  readonly hash: string;
}

interface SealedRow extends Link {
  readonly id: number;
  readonly text: string;
  /** Whether this entry records the checkpoint of the chain. */
  readonly recordsCheckpoint: boolean;
}

/** Creates the queries that verify chains. */
export function makeVerificationQueries({ sql: db }: Database) {
  return {
    /** Returns the number of the next chain; `undefined` after the last one. Start with -1. */
    nextChain: (after: number): Promise<number | undefined> => findNextChain(db, after),

    /** Returns the numbers of the chains of a tenant, by name. A tenant that was removed and created again has several. */
    async listChainsOf(tenantName: string): Promise<number[]> {
      const { rows } = await sql<{ chain: number }>`
        SELECT tenant_id AS chain FROM audit_chains WHERE tenant = ${tenantName}
        UNION SELECT id FROM tenants WHERE name = ${tenantName} ORDER BY chain`.execute(db);
      return rows.map(({ chain }) => chain);
    },

    /**
     * Recomputes one chain in short queries, so that the log can be written at the same time.
     * @param signal ends the verification early
     */
    async verifyChain(chain: number, signal?: AbortSignal): Promise<ChainReport> {
      for (;;) {
        const state = await readChain(db, chain);
        const result = await checkChain(db, state, signal);
        if (!result.damage) return toReport(state, result);
        // Retention may have removed entries while they were being read. If it did, the chain is read again from there.
        const { checkpoint } = await readChain(db, chain);
        if (checkpoint.position === state.checkpoint.position) return toReport(state, result);
      }
    },

    /** Returns the stored ends of up to 100 chains after the chain `after`. Start with -1. */
    async listHeadsAfter(after: number): Promise<readonly ChainHead[]> {
      const { rows } = await sql<ChainHead>`
        SELECT tenant_id AS chain, last_position AS position, encode(last_hash, 'hex') AS hash FROM audit_chains
        WHERE tenant_id > ${after} ORDER BY tenant_id LIMIT ${maxListedHeads}`.execute(db);
      return rows;
    },

    /** Returns the entries that are not yet sealed, oldest first. @param chains `undefined` for all that are visible */
    async readUnsealed(
      principal: Pick<Principal, 'tenantId'>,
      chains: readonly number[] | undefined,
    ): Promise<UnsealedEntries> {
      const isWanted = chains === undefined ? sql`true` : sql`${chainOf} = ANY (${chains}::int[])`;
      const condition = sql`position IS NULL AND ${isVisibleTo(principal, 'tenant_id')} AND ${isWanted}`;
      const count = await sql<{ total: number }>`
        SELECT count(*) AS total FROM audit_log WHERE ${condition}`.execute(db);
      const { rows } = await sql<UnsealedEntries['entries'][number]>`
        SELECT id, at, action, target FROM audit_log WHERE ${condition} ORDER BY id LIMIT ${maxListedUnsealed}`.execute(
        db,
      );
      return { total: count.rows[0]?.total ?? 0, entries: rows };
    },
  };
}

interface CheckResult {
  readonly checked: number;
  readonly damage: ChainDamage | null;
}

async function checkChain(
  db: Queryable,
  state: ChainState,
  signal: AbortSignal | undefined,
): Promise<CheckResult> {
  const { head, checkpoint, firstPosition, lastPosition } = state;
  const failAt = (position: number, reason: string) => ({
    checked: 0,
    damage: { position, id: null, reason },
  });
  if (!head) return failAt(firstPosition ?? 1, 'The stored end of the chain was removed.');
  if (firstPosition !== null && firstPosition <= checkpoint.position)
    return failAt(
      firstPosition,
      `The checkpoint is at ${checkpoint.position}, but earlier entries still exist: the checkpoint was changed.`,
    );
  const { last, recordsCheckpoint, damage } = await checkEntries(db, state, head, signal);
  const checked = last.position - checkpoint.position;
  if (damage) return { checked, damage };
  const endDamage =
    checkEnd(last, head, lastPosition) ?? (await checkCheckpoint(db, state, recordsCheckpoint));
  return { checked, damage: endDamage };
}

/** Recomputes the hashes of all entries up to the head. Returns the last entry that is intact. */
async function checkEntries(db: Queryable, state: ChainState, head: Link, signal: AbortSignal | undefined) {
  let last = state.checkpoint;
  let recordsCheckpoint = false;
  for (;;) {
    signal?.throwIfAborted();
    const rows = await readEntries(db, state, last.position, head.position);
    for (const row of rows) {
      const damage = checkEntry(last, row);
      if (damage) return { last, recordsCheckpoint, damage };
      last = { position: row.position, hash: row.hash };
      recordsCheckpoint ||= row.recordsCheckpoint;
    }
    if (rows.length < batchSize) return { last, recordsCheckpoint, damage: null };
  }
}

function checkEntry(previous: Link, row: SealedRow): ChainDamage | null {
  const position = previous.position + 1;
  if (row.position !== position) return missing(position, row.position - 1);
  if (chainHash(previous.hash, row.text).equals(row.hash)) return null;
  return {
    position,
    id: row.id,
    reason: 'The entry does not match its hash: it was changed, moved or inserted.',
  };
}

function checkEnd(last: Link, head: Link, lastPosition: number | null): ChainDamage | null {
  if (last.position < head.position) return missing(last.position + 1, head.position);
  if (!last.hash.equals(head.hash))
    return {
      position: last.position,
      id: null,
      reason: 'The last entry does not match the stored end of the chain.',
    };
  if (lastPosition === null || lastPosition <= head.position) return null;
  return {
    position: head.position + 1,
    id: null,
    reason: 'The entry is beyond the stored end of the chain: it was inserted.',
  };
}

/** Every move of a checkpoint is an entry of its own chain, so that it cannot be moved without a trace. */
async function checkCheckpoint(
  db: Queryable,
  { chain, checkpoint }: ChainState,
  isRecorded: boolean,
): Promise<ChainDamage | null> {
  if (checkpoint.position === 0 || isRecorded) return null;
  const unsealed = await sql`
    SELECT 1 FROM audit_log WHERE position IS NULL AND ${chainOf} = ${chain} AND ${isRecordOf(checkpoint)}
    LIMIT 1`.execute(db);
  if (unsealed.rows.length > 0) return null;
  return {
    position: checkpoint.position,
    id: null,
    reason: 'No entry records the checkpoint at this position: it was moved, or entries were removed.',
  };
}

function missing(first: number, last: number): ChainDamage {
  const reason =
    first === last ? 'The entry is missing.' : `The entries from ${first} to ${last} are missing.`;
  return { position: first, id: null, reason };
}

async function readEntries(
  db: Queryable,
  { chain, checkpoint }: ChainState,
  after: number,
  last: number,
): Promise<SealedRow[]> {
  const { rows } = await sql<SealedRow>`
    SELECT id, position, hash, ${hashedText} AS text, ${isRecordOf(checkpoint)} AS "recordsCheckpoint" FROM audit_log
    WHERE ${isInChain(chain)} AND position > ${after} AND position <= ${last}
    ORDER BY position LIMIT ${batchSize}`.execute(db);
  return rows;
}

function isRecordOf({ position, hash }: Link) {
  return sql`(action = 'audit.expire' AND details ->> 'position' = ${String(position)}
    AND details ->> 'hash' = ${hash.toString('hex')})`;
}

function toReport({ chain, tenant, head, checkpoint }: ChainState, result: CheckResult): ChainReport {
  return {
    tenantId: chain === installationChain ? null : chain,
    tenant,
    removed: checkpoint.position,
    checked: result.checked,
    head: head ? { position: head.position, hash: head.hash.toString('hex') } : null,
    damage: result.damage,
  };
}
