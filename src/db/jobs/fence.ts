import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { Queryable } from '../database.ts';

/**
 * The fence: a condition on `jobs` that holds while these claims are valid. All writes of a worker depend on it, so that a
 * worker that lost its lease changes nothing. Requires at least one claim.
 */
export function heldBy(...claims: readonly ClaimedJob[]): RawBuilder<boolean> {
  const tokens = claims.map(({ id, leaseToken }) => sql`(${id}::bigint, ${leaseToken}::bigint)`);
  return sql`(jobs.id, jobs.lease_token) IN (${sql.join(tokens)}) AND jobs.state = 'processing'`;
}

/**
 * Locks a claimed job until the transaction ends. Returns false if the claim is no longer valid. Call it before locking the
 * row of the job's image: all transactions use this order.
 */
export async function lockHeldJob(transaction: Queryable, job: ClaimedJob): Promise<boolean> {
  const { rows } = await sql`SELECT 1 FROM jobs WHERE ${heldBy(job)} FOR UPDATE`.execute(transaction);
  return rows.length > 0;
}
