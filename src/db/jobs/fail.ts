import { sql } from 'kysely';
import type { ClaimedJob, FailedAttempt } from '../../model/job.ts';
import type { Database, Queryable } from '../database.ts';
import { heldBy } from './fence.ts';

/** A failed attempt, before the database adds the time. */
export type Attempt = Omit<FailedAttempt, 'at'>;

/** Next state after a failed attempt: pending, for a retry that counts towards a budget, or failed. */
export type NextStep =
  | { readonly state: 'pending'; readonly delaySeconds: number; readonly budget: 'retries' | 'crashes' }
  | { readonly state: 'failed' };

/** Creates the query that records a failure: processing → pending or failed. */
export function makeFailQueries({ sql: db }: Database) {
  return {
    /** Records a failed attempt and the next state. Returns false if the lease was lost. */
    recordFailure: (job: ClaimedJob, attempt: Attempt, next: NextStep): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql`
          UPDATE jobs SET state = ${next.state}, lease_until = NULL, failure_class = ${attempt.failureClass},
            failure_stage = ${attempt.stage}, error_code = ${attempt.code}, error = ${attempt.error},
            history = ${appendAttempt(attempt)},
            ${
              next.state === 'pending'
                ? sql`run_at = now() + make_interval(secs => ${next.delaySeconds}), ${increment(next.budget)}`
                : sql`finished_at = now()`
            }
          WHERE ${heldBy(job)} RETURNING id`.execute(transaction);
        if (rows.length === 0) return false;
        await setImageStatus(transaction, job.imageId, next.state === 'failed' ? attempt : undefined);
        return true;
      }),
  };
}

function increment(counter: 'retries' | 'crashes') {
  return sql`${sql.ref(counter)} = ${sql.ref(counter)} + 1`;
}

/** SQL expression that appends an attempt, with the current time, to a job's history. */
export function appendAttempt(attempt: Attempt) {
  return sql`history || jsonb_build_array(jsonb_build_object('at', now()) || ${JSON.stringify(attempt)}::jsonb)`;
}

/** Condition on `images`. An image that is processed again stays completed until a failure is final. */
const whileProcessing = sql`AND images.status = 'processing'`;

async function setImageStatus(
  transaction: Queryable,
  imageId: number,
  final: Attempt | undefined,
): Promise<void> {
  await sql`
    UPDATE images SET status = ${final ? 'failed' : 'pending'}, error = ${final?.error ?? null},
      error_code = ${final?.code ?? null}, processed_at = ${final ? sql`now()` : sql`NULL`}, updated_at = now()
    WHERE id = ${imageId} ${final ? sql`` : whileProcessing}`.execute(transaction);
}
