import { type RawBuilder, sql } from 'kysely';
import type { ClaimedJob, JobKind } from '../../model/job.ts';
import type { Database, Queryable } from '../database.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';
import { toFocalPoint } from '../images/image-rows.ts';
import type { Schema } from '../schema.ts';
import { type ImportLimits, selectImports } from './select-imports.ts';

/** A claimed job, with the columns of its image that the worker needs. */
type ClaimedRow = Schema['jobs'] &
  Pick<Schema['images'], 'original_key' | 'content_hash' | 'source_url' | 'focus_x' | 'focus_y'> & { readonly is_first_run: boolean };

/** Creates the query that claims jobs (pending → processing). */
export function makeClaimQueries({ sql: db }: Database) {
  return {
    /**
     * Claims up to `limit` due jobs of one kind under a lease. Jobs are claimed and returned in order of priority and,
     * within a priority, in order of turn. A trigger assigns the turns so that workers alternate between tenants. Each
     * claim increments the job's lease token. Imports that exceed `importLimits` are left pending, and jobs behind them
     * are claimed instead.
     */
    async claimDue(
      kind: JobKind,
      limit: number,
      leaseSeconds: number,
      importLimits?: ImportLimits,
    ): Promise<ClaimedJob[]> {
      if (kind === 'import' && importLimits) {
        return retryingTransaction(db, async (transaction) => {
          const ids = await selectImports(transaction, limit, importLimits);
          return ids.length === 0
            ? []
            : claim(transaction, sql`SELECT unnest(${ids}::bigint[]) AS id`, leaseSeconds);
        });
      }
      const dueJobs = sql`
        SELECT id FROM jobs WHERE state = 'pending' AND held_for IS NULL AND kind = ${kind} AND run_at <= now()
        ORDER BY priority, turn, id LIMIT ${limit} FOR UPDATE SKIP LOCKED`;
      // A deletion may update the same images in a different order, so a deadlock is possible.
      return retrying(() => claim(db, dueJobs, leaseSeconds));
    },
  };
}

/** Claims the jobs whose ids `dueJobs` selects. */
async function claim(
  queryable: Queryable,
  dueJobs: RawBuilder<unknown>,
  leaseSeconds: number,
): Promise<ClaimedJob[]> {
  const { rows } = await sql<ClaimedRow>`
    -- Without MATERIALIZED, the planner might run the subquery once per row, and each run would lock more jobs.
    WITH due_jobs AS MATERIALIZED (${dueJobs}),
    claimed_jobs AS (
      UPDATE jobs SET state = 'processing', lease_token = lease_token + 1, started_at = now(),
        lease_until = now() + make_interval(secs => ${leaseSeconds})
      WHERE id = ANY (ARRAY(SELECT id FROM due_jobs))
      RETURNING *),
    processing_images AS (
      UPDATE images SET status = 'processing'
      WHERE id IN (SELECT image_id FROM claimed_jobs WHERE kind <> 'render') AND status = 'pending')
    SELECT claimed_jobs.*, images.original_key, images.content_hash, images.source_url, images.focus_x,
      images.focus_y,
      NOT EXISTS (SELECT 1 FROM renditions WHERE renditions.image_id = images.id) AS is_first_run
    FROM claimed_jobs JOIN images ON images.id = claimed_jobs.image_id
    ORDER BY claimed_jobs.priority, claimed_jobs.turn, claimed_jobs.id`.execute(queryable);
  return rows.map(toClaimedJob);
}

/** Converts a row. A claimed job always has an image, because only finished jobs remain after their image is removed. */
function toClaimedJob(row: ClaimedRow): ClaimedJob {
  if (row.image_id === null) throw new Error(`Job ${row.id} was claimed without an image.`);
  const { original_key: key, content_hash: contentHash } = row;
  return {
    id: row.id,
    kind: row.kind,
    imageId: row.image_id,
    tenantId: row.tenant_id,
    original: key && contentHash ? { key, contentHash } : null,
    sourceUrl: row.source_url,
    isFirstRun: row.is_first_run,
    leaseToken: row.lease_token,
    priority: row.priority,
    retries: row.retries,
    crashes: row.crashes,
    leaseLosses: row.lease_losses,
    variants: row.variants,
    campaignId: row.campaign_id,
    focalPoint: toFocalPoint(row),
  };
}
