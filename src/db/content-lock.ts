import { sql } from 'kysely';
import type { Queryable } from './database.ts';

/**
 * Makes whoever records or removes the same content of the same tenant wait for this transaction to end. Without it a
 * removal between "the file is there" and "the row is committed" would leave a row without its file.
 */
export async function lockContent(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock(${tenantId}, ${contentKey(contentHash)})`.execute(transaction);
}

/** The first 31 bits of the hash: two contents that share them merely wait for each other. */
function contentKey(contentHash: string): number {
  return Number.parseInt(contentHash.slice(0, 8), 16) & 0x7f_ff_ff_ff;
}
