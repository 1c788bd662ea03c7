import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Queryable } from '../database.ts';

/**
 * The fence: a condition on `jobs` that holds while the jobs are held under these very claims. Every write of a holder
 * is conditional on it, so a holder that lost its lease changes nothing. Needs at least one job.
 */
export function heldBy(...claims: readonly ClaimedJob[]): RawBuilder<boolean> {
  const tokens = claims.map(({ id, leaseToken }) => sql`(${id}::bigint, ${leaseToken}::bigint)`);
  return sql`(jobs.id, jobs.lease_token) IN (${sql.join(tokens)}) AND jobs.state = 'processing'`;
}

/**
 * Locks a held job until the transaction ends; returns false if it is no longer held. Call it before locking the row of
 * its image: every transaction uses this order.
 */
export async function lockHeldJob(transaction: Queryable, job: ClaimedJob): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM jobs WHERE ${heldBy(job)} FOR UPDATE`.execute(transaction);
  return rows.length > 0;
}
