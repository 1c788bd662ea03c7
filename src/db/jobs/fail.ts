import { sql } from 'kysely';
import type { ClaimedJob, FailedAttempt } from '../../model/job.ts';
import type { Database, Queryable } from '../database.ts';
import { heldBy } from './fence.ts';

/** A failed attempt, before the database adds the time. */
export type Attempt = Omit<FailedAttempt, 'at'>;

/** Next state after a failed attempt. A retry increments one of the two counters. */
export type NextStep =
  | { readonly state: 'pending'; readonly delaySeconds: number; readonly counter: 'retries' | 'crashes' }
  | { readonly state: 'failed' };

/** Creates the query that records a failure (processing → pending or failed). */
export function makeFailQueries({ sql: db }: Database) {
  return {
    /** Records a failed attempt and the next state. Returns false if the lease was lost. */
    recordFailure: (job: ClaimedJob, attempt: Attempt, nextStep: NextStep): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        const { rows } = await sql`
          UPDATE jobs SET state = ${nextStep.state}, lease_until = NULL, failure_class = ${attempt.failureClass},
            failure_stage = ${attempt.stage}, error_code = ${attempt.code}, error = ${attempt.error},
            history = ${appendAttempt(attempt)},
            ${
              nextStep.state === 'pending'
                ? sql`run_at = now() + make_interval(secs => ${nextStep.delaySeconds}), ${increment(nextStep.counter)}`
                : sql`finished_at = now()`
            }
          WHERE ${heldBy(job)} RETURNING id`.execute(transaction);
        if (rows.length === 0) return false;
        // An image of which a variant cannot be made keeps its other renditions.
        if (job.kind === 'render') return true;
        await setImageStatus(transaction, job.imageId, nextStep.state === 'failed' ? attempt : undefined);
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

/**
 * Condition under which a retry makes the image pending. A completed image that is processed again stays completed instead.
 */
const isProcessing = sql`images.status = 'processing'`;

async function setImageStatus(
  transaction: Queryable,
  imageId: number,
  finalAttempt: Attempt | undefined,
): Promise<void> {
  await sql`
    UPDATE images SET status = ${finalAttempt ? 'failed' : 'pending'}, error = ${finalAttempt?.error ?? null},
      error_code = ${finalAttempt?.code ?? null}, processed_at = ${finalAttempt ? sql`now()` : sql`NULL`}, updated_at = now()
    WHERE id = ${imageId} ${finalAttempt ? sql`` : sql`AND ${isProcessing}`}`.execute(transaction);
}
