import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Queryable } from '../database.ts';

/**
 * Condition on `jobs` that is true for the jobs whose claims are still valid. Every write by a worker depends on this
 * condition, so that a worker that has lost its lease changes nothing. Requires at least one claim.
 */
export function heldBy(...claims: readonly ClaimedJob[]): RawBuilder<boolean> {
  const tokens = claims.map(({ id, leaseToken }) => sql`(${id}::bigint, ${leaseToken}::bigint)`);
  return sql`(jobs.id, jobs.lease_token) IN (${sql.join(tokens)}) AND jobs.state = 'processing'`;
}

/**
 * Locks a claimed job until the transaction ends. Returns false if the claim is no longer valid. Call this before locking the
 * job's image, because all transactions use this order.
 */
export async function lockHeldJob(transaction: Queryable, job: ClaimedJob): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM jobs WHERE ${heldBy(job)} FOR UPDATE`.execute(transaction);
  return rows.length > 0;
}
