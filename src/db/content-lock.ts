import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from './database.ts';

/**
 * An expression that makes whoever records or removes the same content of the same tenant wait for this transaction to
 * end. A removal that asks "does a row need this file?" would otherwise miss a row that is being committed.
 */
export function contentLock(tenantId: number, contentHash: string): RawBuilder<unknown> {
  return sql`pg_advisory_xact_lock(${tenantId}::int, ${contentKey(contentHash)}::int)`;
}

/** Takes the lock by itself, at the start of a transaction. */
export async function lockContent(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  await sql`SELECT ${contentLock(tenantId, contentHash)}`.execute(transaction);
}

/** The first 31 bits of the hash: two contents that share them merely wait for each other. */
function contentKey(contentHash: string): number {
  return Number.parseInt(contentHash.slice(0, 8), 16) & 0x7f_ff_ff_ff;
}
