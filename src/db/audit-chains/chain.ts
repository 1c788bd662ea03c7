import { createHash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../database.ts';

/** Number of the chain of the installation. Every other chain has the number of its tenant. */
export const installationChain = 0;

/**
 * The chain of an entry, as in the index of sealed entries. Written with `CASE` instead of `coalesce`, which is not
 * leakproof: row-level security would prevent the use of the index.
 */
export const chainOf = sql<number>`CASE WHEN tenant_id IS NULL THEN ${sql.lit(installationChain)} ELSE tenant_id END`;

/** Condition that is true for sealed entries of one chain. */
export function isInChain(chain: number): RawBuilder<boolean> {
  return sql`${chainOf} = ${chain} AND position IS NOT NULL`;
}

/** The text of an entry that its hash covers. Times are in microseconds, because their text depends on the session. */
export const hashedText = sql`jsonb_build_array(id, tenant_id, tenant, (extract(epoch FROM at) * 1000000)::bigint, actor,
  key_id, action, target, details)::text`;

/** Returns the hash of an entry in its chain. @param previous hash of the previous entry; empty for the first one */
export function chainHash(previous: Buffer, text: string): Buffer {
  return createHash('sha256').update(previous).update(text).digest();
}

/** A position in a chain, and the hash of the entry there. */
export interface Link {
  readonly position: number;
  readonly hash: Buffer;
}

/** Where every chain starts. */
export const chainStart: Link = { position: 0, hash: Buffer.alloc(0) };

/** The ends of a chain as stored, and the first and last of its entries, in one snapshot. */
export interface ChainState {
  readonly chain: number;
  readonly tenant: string | null;
  /** The last entry that was sealed; `null` if no end is stored. */
  readonly head: Link | null;
  /** The last entry that retention removed. */
  readonly checkpoint: Link;
  readonly firstPosition: number | null;
  readonly lastPosition: number | null;
}

interface StateRow extends Pick<ChainState, 'tenant' | 'firstPosition' | 'lastPosition'> {
  readonly headPosition: number | null;
  readonly headHash: Buffer | null;
  readonly checkpointPosition: number | null;
  readonly checkpointHash: Buffer | null;
}

/** Reads the state of a chain. */
export async function readChain(db: Queryable, chain: number): Promise<ChainState> {
  const { rows } = await sql<StateRow>`
    SELECT tenant, last_position AS "headPosition", last_hash AS "headHash",
      checkpoint_position AS "checkpointPosition", checkpoint_hash AS "checkpointHash",
      (SELECT min(position) FROM audit_log WHERE ${isInChain(chain)}) AS "firstPosition",
      (SELECT max(position) FROM audit_log WHERE ${isInChain(chain)}) AS "lastPosition"
    FROM (SELECT) one_row LEFT JOIN audit_chains ON tenant_id = ${chain}`.execute(db);
  const [row] = rows;
  return {
    chain,
    tenant: row?.tenant ?? null,
    head: toLink(row?.headPosition, row?.headHash),
    checkpoint: toLink(row?.checkpointPosition, row?.checkpointHash) ?? chainStart,
    firstPosition: row?.firstPosition ?? null,
    lastPosition: row?.lastPosition ?? null,
  };
}

function toLink(position: number | null | undefined, hash: Buffer | null | undefined): Link | null {
  return typeof position === 'number' && hash ? { position, hash } : null;
}

/**
 * Returns the number of the next chain; `undefined` after the last one. A chain is found by its end or by its entries, so
 * that neither can be hidden by removing the other.
 */
export async function findNextChain(db: Queryable, after: number): Promise<number | undefined> {
  const { rows } = await sql<{ next: number | null }>`
    SELECT least(
      (SELECT min(tenant_id) FROM audit_chains WHERE tenant_id > ${after}),
      (SELECT ${chainOf} FROM audit_log WHERE ${chainOf} > ${after} AND position IS NOT NULL
       ORDER BY ${chainOf}, position LIMIT 1)) AS next`.execute(db);
  return rows[0]?.next ?? undefined;
}
