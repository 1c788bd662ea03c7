import { sql } from 'kysely';
import type { ClaimedJob, DueJob, FailedAttempt, JobKind } from '../../model/job.ts';
import type { Database, Queryable } from '../database.ts';
import { type ClaimedRow, toClaimedJob } from './fence.ts';
import { retrying } from '../engine/retrying.ts';

/** What follows a failed try. */
export type NextStep =
  | { readonly state: 'pending'; readonly delaySeconds: number; readonly spend: 'retries' | 'crashes' }
  | { readonly state: 'failed' };

/** Queries on jobs. */
export type JobQueries = ReturnType<typeof makeJobQueries>;

/**
 * Queries on jobs. The row is the truth about work: who holds it, until when, and under which token. Every write of a
 * holder names its token, so a holder that lost its lease changes nothing. Statements that write several images are
 * retried: a deletion writes an image and its copies, perhaps in another order.
 */
export function makeJobQueries({ sql: db }: Database) {
  return {
    /** Claims up to `limit` due jobs of one kind, most urgent first and one of each tenant in turn, under a lease. */
    async claimDue(kind: JobKind, limit: number, leaseSeconds: number): Promise<ClaimedJob[]> {
      const query = sql<ClaimedRow>`
        -- Chosen once and before all else: as a subquery, it could be run again for each row.
        WITH due AS MATERIALIZED (
          SELECT id FROM jobs WHERE state = 'pending' AND kind = ${kind} AND run_at <= now()
          ORDER BY priority, turn, id LIMIT ${limit} FOR UPDATE SKIP LOCKED),
        claimed AS (
          UPDATE jobs SET state = 'processing', lease_token = lease_token + 1, started_at = now(),
            lease_until = now() + make_interval(secs => ${leaseSeconds})
          WHERE id = ANY (ARRAY(SELECT id FROM due))
          RETURNING *),
        shown AS (
          UPDATE images SET status = 'processing'
          WHERE id IN (SELECT image_id FROM claimed) AND status = 'pending')
        SELECT claimed.*, images.original_key, images.content_hash, images.source_url,
          NOT EXISTS (SELECT 1 FROM renditions WHERE renditions.image_id = images.id) AS is_first_run
        FROM claimed JOIN images ON images.id = claimed.image_id
        ORDER BY claimed.priority, claimed.turn, claimed.id`;
      const { rows } = await retrying(() => query.execute(db));
      return rows.map(toClaimedJob);
    },

    /** Extends the leases of these jobs; answers those that are still held. */
    async renewLeases(jobs: readonly ClaimedJob[], leaseSeconds: number): Promise<Set<ClaimedJob>> {
      const held = jobs.map((job) => sql`(${job.id}::bigint, ${job.leaseToken}::bigint)`);
      const { rows } = await sql<{ id: number; token: number }>`
        UPDATE jobs SET lease_until = now() + make_interval(secs => ${leaseSeconds})
        WHERE (id, lease_token) IN (${sql.join(held)}) AND state = 'processing'
        RETURNING id, lease_token AS token`.execute(db);
      const tokens = new Map(rows.map(({ id, token }) => [id, token]));
      return new Set(jobs.filter((job) => tokens.get(job.id) === job.leaseToken));
    },

    /** Asks for the renditions of an image anew; `undefined` when work on it is under way. */
    async requeue(imageId: number, priority: number): Promise<DueJob | undefined> {
      const query = sql<DueJob>`
        INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
        SELECT 'derive', id, tenant_id, content_hash, ${priority}::smallint, 'pending' FROM images
        WHERE id = ${imageId} AND original_key IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM jobs WHERE image_id = images.id AND state IN ('pending', 'processing'))
        RETURNING id, kind`;
      // The image may be purged between the check and the insertion.
      const { rows } = await retrying(() => query.execute(db));
      return rows[0];
    },

    /** Records a failed try and what follows. False when the lease was lost. */
    recordFailure: (job: ClaimedJob, attempt: Omit<FailedAttempt, 'at'>, next: NextStep): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        const failed = next.state === 'failed';
        const spent = next.state === 'pending' ? sql`${sql.ref(next.spend)} + 1` : undefined;
        const { numUpdatedRows } = await transaction
          .updateTable('jobs')
          .set({
            state: next.state,
            lease_until: null,
            failure_class: attempt.failureClass,
            failure_stage: attempt.stage,
            error_code: attempt.code,
            error: attempt.error,
            ...(next.state === 'pending'
              ? { run_at: sql`now() + make_interval(secs => ${next.delaySeconds})`, [next.spend]: spent }
              : { finished_at: sql`now()` }),
          })
          .set(appendToHistory(attempt))
          .where('id', '=', job.id)
          .where('lease_token', '=', job.leaseToken)
          .where('state', '=', 'processing')
          .executeTakeFirst();
        if (numUpdatedRows === 0n) return false;
        await showFailure(transaction, job.imageId, failed ? attempt : undefined);
        return true;
      }),

    /** Gives unfinished jobs back, as if they had never been claimed: a stop spends no retry. */
    async handBack(jobs: readonly ClaimedJob[]): Promise<void> {
      if (jobs.length === 0) return;
      const held = jobs.map((job) => sql`(${job.id}::bigint, ${job.leaseToken}::bigint)`);
      const query = sql`
        WITH given AS (
          UPDATE jobs SET state = 'pending', lease_until = NULL, run_at = now()
          WHERE (id, lease_token) IN (${sql.join(held)}) AND state = 'processing'
          RETURNING image_id)
        UPDATE images SET status = 'pending' WHERE id IN (SELECT image_id FROM given) AND status = 'processing'`;
      await retrying(() => query.execute(db));
    },
  };
}

/** Time stands in the entry by the database's clock. */
function appendToHistory(attempt: Omit<FailedAttempt, 'at'>) {
  const entry = JSON.stringify(attempt);
  return {
    history: sql<never>`history || jsonb_build_array(jsonb_build_object('at', now()) || ${entry}::jsonb)`,
  };
}

async function showFailure(
  transaction: Queryable,
  imageId: number,
  final: Omit<FailedAttempt, 'at'> | undefined,
): Promise<void> {
  await transaction
    .updateTable('images')
    .set({
      status: final ? 'failed' : 'pending',
      error: final?.error ?? null,
      error_code: final?.code ?? null,
      processed_at: final ? sql`now()` : null,
      updated_at: sql`now()`,
    })
    .where('id', '=', imageId)
    .execute();
}
