import { sql } from 'kysely';
import type { DueJob, JobState } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import { appendAttempt } from './fail.ts';

/** The jobs that are pending again, and the number of jobs that failed. */
export interface TakeOverResult {
  readonly requeued: DueJob[];
  readonly failed: number;
}

/** Creates the query that takes jobs away from lost workers (processing → pending or failed). */
export function makeTakeOverQueries({ sql: db }: Database) {
  return {
    /**
     * Makes jobs pending again if their leases have expired. This does not count as a retry. A job that has lost its worker
     * `maxLosses` times fails instead, because the job is probably the cause.
     * @param includeUnexpired whether to take over jobs with a valid lease as well. Safe only if no other process is running.
     */
    async takeOverLostLeases(maxLosses: number, includeUnexpired: boolean): Promise<TakeOverResult> {
      const message = `The worker stopped unexpectedly ${maxLosses} times while processing this image.`;
      const isFinalLoss = sql`lease_losses + 1 >= ${maxLosses}`;
      const history = appendAttempt({
        failureClass: 'lease-lost',
        stage: 'decode',
        code: 'worker_lost',
        error: 'The worker stopped unexpectedly.',
      });
      const query = sql<DueJob & { state: JobState }>`
        -- Locked rows are skipped, because a worker suspended during a transaction may keep a row locked for a long time.
        WITH lost_jobs AS MATERIALIZED (
          SELECT id FROM jobs WHERE state = 'processing' ${includeUnexpired ? sql`` : sql`AND lease_until < now()`}
          FOR UPDATE SKIP LOCKED),
        released_jobs AS (
          UPDATE jobs SET
            lease_losses = lease_losses + 1, lease_until = NULL, run_at = now(), history = ${history},
            state = CASE WHEN ${isFinalLoss} THEN 'failed' ELSE 'pending' END,
            failure_class = CASE WHEN ${isFinalLoss} THEN 'lease-lost' END,
            failure_stage = CASE WHEN ${isFinalLoss} THEN 'decode' END,
            error_code = CASE WHEN ${isFinalLoss} THEN 'worker_lost' END,
            error = CASE WHEN ${isFinalLoss} THEN ${message} END,
            finished_at = CASE WHEN ${isFinalLoss} THEN now() END
          WHERE id = ANY (ARRAY(SELECT id FROM lost_jobs))
          RETURNING id, kind, image_id, state),
        updated_images AS (
          UPDATE images SET status = released_jobs.state,
            error = CASE WHEN released_jobs.state = 'failed' THEN ${message} END,
            error_code = CASE WHEN released_jobs.state = 'failed' THEN 'worker_lost' END
          FROM released_jobs WHERE images.id = released_jobs.image_id AND released_jobs.kind <> 'render'
            -- An image that is processed again stays completed unless the last attempt fails.
            AND (released_jobs.state = 'failed' OR images.status = 'processing'))
        SELECT id, kind, state FROM released_jobs`;
      const { rows } = await retrying(() => query.execute(db));
      const requeued = rows.filter(({ state }) => state === 'pending').map(({ id, kind }) => ({ id, kind }));
      return { requeued, failed: rows.length - requeued.length };
    },
  };
}
