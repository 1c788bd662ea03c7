import { sql } from 'kysely';
import type { DueJob, JobState } from '../../model/job.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import { withAttempt } from './fail.ts';

/** Result of a take-over: the jobs that are pending again, and the number of jobs that failed. */
export interface TakenOver {
  readonly requeued: DueJob[];
  readonly failed: number;
}

/** Query by which any process takes over lost jobs: processing → pending or failed. */
export function makeTakeOverQueries({ sql: db }: Database) {
  return {
    /**
     * Takes over jobs whose lease ran out, or `everything` when no other process can hold a lease. Spends no retry; a
     * job that loses its worker `limit` times is considered the cause and fails.
     */
    async takeOverLostLeases(limit: number, everything: boolean): Promise<TakenOver> {
      const message = `The worker was lost ${limit} times while it processed this picture.`;
      const isLast = sql`lease_losses + 1 >= ${limit}`;
      const history = withAttempt({
        failureClass: 'lease-lost',
        stage: 'decode',
        code: 'worker_lost',
        error: 'The worker was lost.',
      });
      const query = sql<DueJob & { state: JobState }>`
        -- Skips locked rows: a worker that was suspended within a transaction may keep a row locked for a long time.
        WITH stale_jobs AS MATERIALIZED (
          SELECT id FROM jobs WHERE state = 'processing' ${everything ? sql`` : sql`AND lease_until < now()`}
          FOR UPDATE SKIP LOCKED),
        released_jobs AS (
          UPDATE jobs SET
            lease_losses = lease_losses + 1, lease_until = NULL, run_at = now(), history = ${history},
            state = CASE WHEN ${isLast} THEN 'failed' ELSE 'pending' END,
            failure_class = CASE WHEN ${isLast} THEN 'lease-lost' END,
            failure_stage = CASE WHEN ${isLast} THEN 'decode' END,
            error_code = CASE WHEN ${isLast} THEN 'worker_lost' END,
            error = CASE WHEN ${isLast} THEN ${message} END,
            finished_at = CASE WHEN ${isLast} THEN now() END
          WHERE id = ANY (ARRAY(SELECT id FROM stale_jobs))
          RETURNING id, kind, image_id, state),
        updated_images AS (
          UPDATE images SET status = released_jobs.state,
            error = CASE WHEN released_jobs.state = 'failed' THEN ${message} END,
            error_code = CASE WHEN released_jobs.state = 'failed' THEN 'worker_lost' END
          FROM released_jobs WHERE images.id = released_jobs.image_id
            -- An image that is processed again stays completed until a failure is final.
            AND (released_jobs.state = 'failed' OR images.status = 'processing'))
        SELECT id, kind, state FROM released_jobs`;
      const { rows } = await retrying(() => query.execute(db));
      const requeued = rows.filter(({ state }) => state === 'pending').map(({ id, kind }) => ({ id, kind }));
      return { requeued, failed: rows.length - requeued.length };
    },
  };
}
