import { sql } from 'kysely';
import type { ClaimedJob, FailedAttempt, JobState } from '../model/job.ts';
import type { NewRendition } from '../model/rendition.ts';
import type { Database, Queryable } from './database.ts';
import { claimedColumns, toClaimedJob } from './job-rows.ts';

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
      const rows = await db
        .with('claimed', (cte) =>
          cte
            .updateTable('jobs')
            .set({
              state: 'processing',
              lease_token: sql`lease_token + 1`,
              lease_until: sql`now() + make_interval(secs => ${leaseSeconds})`,
              started_at: sql`now()`,
            })
            .where('id', 'in', (due) =>
              due
                .selectFrom('jobs')
                .select('id')
                .where('state', '=', 'pending')
                .where('run_at', '<=', sql<Date>`now()`)
                .orderBy('priority')
                .orderBy('run_at')
                .orderBy('id')
                .limit(limit)
                .forUpdate()
                .skipLocked(),
            )
            .returning(claimedColumns),
        )
        .with('shown', (cte) =>
          cte
            .updateTable('images')
            .set({ status: 'processing' })
            .where('id', 'in', (claimed) => claimed.selectFrom('claimed').select('image_id'))
            .where('status', '=', 'pending'),
        )
        .selectFrom('claimed')
        .selectAll()
        .execute();
      return rows.map(toClaimedJob).toSorted((a, b) => a.priority - b.priority || a.id - b.id);
    },

    /** Extends the leases of these jobs; answers the ids of those that are still held. */
    async renewLeases(jobs: readonly ClaimedJob[], leaseSeconds: number): Promise<Set<number>> {
      const held = jobs.map((job) => sql`(${job.id}::bigint, ${job.leaseToken}::bigint)`);
      const { rows } = await sql<{ id: number }>`
        UPDATE jobs SET lease_until = now() + make_interval(secs => ${leaseSeconds})
        WHERE (id, lease_token) IN (${sql.join(held)}) AND state = 'processing'
        RETURNING id`.execute(db);
      return new Set(rows.map(({ id }) => id));
    },

    /** The work is done: renditions, image and job become visible together. False when the lease was lost. */
    complete: (job: ClaimedJob, renditions: readonly NewRendition[]): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        if (!(await finishHeld(transaction, job, 'completed'))) return false;
        await insertRenditions(transaction, job.imageId, renditions);
        await transaction
          .updateTable('images')
          .set({
            status: 'completed',
            error: null,
            error_code: null,
            processed_at: sql`now()`,
            updated_at: sql`now()`,
          })
          .where('id', '=', job.imageId)
          .execute();
        return true;
      }),

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

    /** The newest job of an image. */
    async newestOf(imageId: number): Promise<number | undefined> {
      const row = await db
        .selectFrom('jobs')
        .select('id')
        .where('image_id', '=', imageId)
        .orderBy('id', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row?.id;
    },
  };
}

async function finishHeld(transaction: Queryable, job: ClaimedJob, state: 'completed'): Promise<boolean> {
  const { numUpdatedRows } = await transaction
    .updateTable('jobs')
    .set({ state, lease_until: null, finished_at: sql`now()`, error: null, error_code: null })
    .where('id', '=', job.id)
    .where('lease_token', '=', job.leaseToken)
    .where('state', '=', 'processing')
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}

async function insertRenditions(
  transaction: Queryable,
  imageId: number,
  renditions: readonly NewRendition[],
): Promise<void> {
  await transaction
    .insertInto('renditions')
    .values(
      renditions.map(({ storageKey, contentHash, ...rendition }) => ({
        ...rendition,
        image_id: imageId,
        storage_key: storageKey,
        content_hash: contentHash,
      })),
    )
    .onConflict((conflict) =>
      conflict.columns(['image_id', 'preset']).doUpdateSet((row) => ({
        recipe: row.ref('excluded.recipe'),
        storage_key: row.ref('excluded.storage_key'),
        content_hash: row.ref('excluded.content_hash'),
        bytes: row.ref('excluded.bytes'),
        width: row.ref('excluded.width'),
        height: row.ref('excluded.height'),
        quality: row.ref('excluded.quality'),
      })),
    )
    .execute();
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
