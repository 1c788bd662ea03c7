import { type RawBuilder, sql } from 'kysely';
import type { DueJob } from '../../model/job.ts';
import type { Principal } from '../../model/principal.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database } from '../database.ts';
import { retrying } from '../engine/retrying.ts';
import { isVisibleTo } from '../lists.ts';
import { type JobFilter, makeJobReportQueries, matchesFilter } from './job-reports.ts';

/**
 * Outcome of a retry. `not-retryable` means that the job has not failed, that its image was deleted or has since been
 * completed (or, for a `render` job, is not completed), or that the image has a newer job of this kind.
 */
export type RetryOutcome = 'retried' | 'not-retryable' | 'not-found';

/** Creates the queries with which an operator retries failed jobs (failed → pending). */
export function makeRetryQueries(database: Database) {
  const { sql: db } = database;
  const reports = makeJobReportQueries(database);

  /** Resets failed jobs that match the condition. A job is skipped if its image has a newer one for the same work. */
  async function retryWhere(actor: Actor, condition: RawBuilder<boolean>): Promise<DueJob[]> {
    const query = sql<DueJob>`
      WITH pending_jobs AS (
        UPDATE jobs SET state = 'pending', run_at = now(), lease_until = NULL, finished_at = NULL, retries = 0, crashes = 0,
          lease_losses = 0, failure_class = NULL, failure_stage = NULL, error_code = NULL, error = NULL
        WHERE id IN (
          SELECT j.id FROM jobs j JOIN images i ON i.id = j.image_id
          WHERE j.state = 'failed' AND i.deleted_at IS NULL AND ${condition}
            AND i.status = CASE WHEN j.kind = 'render' THEN 'completed' ELSE 'failed' END
            AND NOT EXISTS (
              SELECT 1 FROM jobs newer_job WHERE newer_job.image_id = j.image_id AND newer_job.id > j.id
                AND CASE WHEN j.kind = 'render' THEN newer_job.kind = 'render'
                    AND newer_job.campaign_id IS NOT DISTINCT FROM j.campaign_id
                    AND newer_job.variants IS NOT DISTINCT FROM j.variants
                  ELSE newer_job.kind <> 'render' END)
          FOR UPDATE OF j SKIP LOCKED)
        RETURNING id, kind, image_id, tenant_id),
      written_entries AS (${insertAudit(actor, {
        action: 'job.retry',
        from: sql`pending_jobs JOIN images ON images.id = pending_jobs.image_id`,
        tenantId: sql`pending_jobs.tenant_id`,
        target: sql`images.uuid::text`,
        details: sql`jsonb_build_object('job', pending_jobs.id)`,
      })}),
      pending_images AS (
        UPDATE images SET status = 'pending', error = NULL, error_code = NULL, processed_at = NULL, updated_at = now()
        WHERE id IN (SELECT image_id FROM pending_jobs WHERE kind <> 'render'))
      SELECT id, kind FROM pending_jobs`;
    // A purge locks the image before its jobs, so a deadlock is possible.
    const { rows } = await retrying(() => query.execute(db));
    return rows;
  }

  return {
    /** Retries a failed job and resets its failure counters. */
    async retry(principal: Principal, id: number): Promise<RetryOutcome> {
      const retriedJobs = await retryWhere(
        principal,
        sql`j.id = ${id} AND ${isVisibleTo(principal, 'j.tenant_id')}`,
      );
      if (retriedJobs.length > 0) return 'retried';
      return (await reports.find(principal, id)) ? 'not-retryable' : 'not-found';
    },

    /** Retries all failed jobs that match the filter. Returns the retried jobs. */
    retryAll: (principal: Principal, filter: JobFilter): Promise<DueJob[]> =>
      retryWhere(principal, sql`${isVisibleTo(principal, 'j.tenant_id')} AND ${matchesFilter(filter)}`),
  };
}
