import { sql } from 'kysely';
import type { ClaimedJob, FailedAttempt, JobState } from '../model/job.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { NewRendition, Rendition } from '../model/rendition.ts';
import type { Database, Queryable } from './database.ts';
import { type ImageRow, toImage } from './image-rows.ts';
import { type ClaimedRow, toClaimedJob } from './job-rows.ts';

/** What follows a failed try. */
export type NextStep =
  | { readonly state: 'pending'; readonly delaySeconds: number; readonly spend: 'retries' | 'crashes' }
  | { readonly state: 'failed' };

/** A job in the words of operators. */
export interface JobReport {
  readonly id: number;
  readonly state: JobState;
  readonly imageId: number | null;
  readonly retries: number;
  readonly crashes: number;
  readonly leaseLosses: number;
  readonly failureClass: string | null;
  readonly error: string | null;
  readonly history: readonly FailedAttempt[];
}

/** Queries on jobs. */
export type JobQueries = ReturnType<typeof makeJobQueries>;

/**
 * Queries on jobs. The row is the truth about work: who holds it, until when, and under which token. Every write of a
 * holder names its token, so a holder that lost its lease changes nothing.
 */
export function makeJobQueries({ sql: db }: Database) {
  return {
    /** Claims up to `limit` due jobs, most urgent first, under a lease of `leaseSeconds`. */
    async claimDue(limit: number, leaseSeconds: number): Promise<ClaimedJob[]> {
      const { rows } = await sql<ClaimedRow>`
        WITH claimed AS (
          UPDATE jobs SET state = 'processing', lease_token = lease_token + 1, started_at = now(),
            lease_until = now() + make_interval(secs => ${leaseSeconds})
          WHERE id IN (
            SELECT id FROM jobs WHERE state = 'pending' AND run_at <= now()
            ORDER BY priority, run_at, id LIMIT ${limit} FOR UPDATE SKIP LOCKED)
          RETURNING *),
        shown AS (
          UPDATE images SET status = 'processing'
          WHERE id IN (SELECT image_id FROM claimed) AND status = 'pending')
        SELECT claimed.*, images.original_key, images.content_hash
        FROM claimed JOIN images ON images.id = claimed.image_id
        ORDER BY claimed.priority, claimed.id`.execute(db);
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

    /**
     * The work is done: renditions, image and job become visible together, in one statement. Answers the image as it is
     * now, or `undefined` when the lease was lost.
     */
    async complete(
      job: ClaimedJob,
      renditions: readonly NewRendition[],
    ): Promise<ImageWithRenditions | undefined> {
      const { rows } = await sql<ImageRow & { renditions: Rendition[] }>`
        WITH done AS (
          UPDATE jobs SET state = 'completed', lease_until = NULL, finished_at = now(), error = NULL, error_code = NULL
          WHERE id = ${job.id} AND lease_token = ${job.leaseToken} AND state = 'processing'
          RETURNING image_id),
        made AS (
          INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format)
          SELECT done.image_id, made.* FROM done CROSS JOIN jsonb_to_recordset(${JSON.stringify(renditions)}::jsonb) AS made
            (preset text, recipe text, "storageKey" text, "contentHash" text, bytes int, width int, height int,
             quality smallint, format text)
          ON CONFLICT (image_id, preset) DO UPDATE SET recipe = excluded.recipe, storage_key = excluded.storage_key,
            content_hash = excluded.content_hash, bytes = excluded.bytes, width = excluded.width,
            height = excluded.height, quality = excluded.quality, format = excluded.format
          RETURNING id, preset, recipe, storage_key AS "storageKey", content_hash AS "contentHash", bytes, width, height,
            quality, format),
        shown AS (
          UPDATE images SET status = 'completed', error = NULL, error_code = NULL, processed_at = now(), updated_at = now()
          FROM done WHERE images.id = done.image_id RETURNING images.*)
        SELECT shown.*, tenants.name AS tenant,
          (SELECT json_agg(made ORDER BY width, preset) FROM made) AS renditions
        FROM shown JOIN tenants ON tenants.id = shown.tenant_id`.execute(db);
      const row = rows[0];
      return row && { ...toImage(row), renditions: row.renditions };
    },

    /** Asks for the renditions of an image anew, unless work on it is under way. */
    async requeue(imageId: number, priority: number): Promise<void> {
      await sql`
        INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
        SELECT 'derive', id, tenant_id, content_hash, ${priority}::smallint, 'pending' FROM images
        WHERE id = ${imageId} AND original_key IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM jobs WHERE image_id = images.id AND state IN ('pending', 'processing'))`.execute(db);
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
      await sql`
        WITH given AS (
          UPDATE jobs SET state = 'pending', lease_until = NULL, run_at = now()
          WHERE (id, lease_token) IN (${sql.join(held)}) AND state = 'processing'
          RETURNING image_id)
        UPDATE images SET status = 'pending' WHERE id IN (SELECT image_id FROM given) AND status = 'processing'`.execute(
        db,
      );
    },

    /** A job with its history, for operators. */
    async report(id: number): Promise<JobReport | undefined> {
      return db
        .selectFrom('jobs')
        .select([
          'id',
          'state',
          'image_id as imageId',
          'retries',
          'crashes',
          'lease_losses as leaseLosses',
          'failure_class as failureClass',
          'error',
          'history',
        ])
        .where('id', '=', id)
        .executeTakeFirst();
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
