import { sql } from 'kysely';
import { codesOf } from '../../errors.ts';
import type { DueJob, FailedAttempt, FailureClass, JobKind, JobReport, JobState } from '../../model/job.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database } from '../database.ts';
import { pageOf } from '../lists.ts';
import { retrying } from '../engine/retrying.ts';

/** What a list of jobs is narrowed to. */
export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly kind?: JobKind | undefined;
  readonly tenant?: string | undefined;
  readonly imageId?: number | undefined;
  /** Code of the last error, or the family of its code. */
  readonly code?: string | undefined;
  readonly failureClass?: FailureClass | undefined;
}

/** Depth of the queue, by kind of job. */
export interface QueueDepth {
  readonly kind: JobKind;
  readonly pending: number;
  readonly processing: number;
  /** How long the job that waits longest has been due: pauses before a retry do not count. */
  readonly oldestPendingSeconds: number | null;
}

/** Queries on jobs for operators. */
export type JobReportQueries = ReturnType<typeof makeJobReportQueries>;

/** What became of a retry: `unfit` when the job has not failed, or its image is gone or completed by now. */
export type Retry = 'retried' | 'unfit' | 'not-found';

/** Queries on jobs for operators; each sees only what the principal may see. */
export function makeJobReportQueries({ sql: db }: Database) {
  async function select(principal: Principal, condition: ReturnType<typeof conditionOf>, tail = sql``) {
    const { rows } = await sql<JobReport>`
      SELECT j.id, j.kind, j.state, j.image_id AS "imageId", t.name AS tenant, j.content_hash AS "contentHash", j.priority,
        j.retries, j.crashes, j.lease_losses AS "leaseLosses", j.failure_class AS "failureClass",
        j.failure_stage AS "failureStage", j.error_code AS "errorCode", j.error, j.history, j.created_at AS "createdAt",
        j.run_at AS "runAt", j.started_at AS "startedAt", j.finished_at AS "finishedAt"
      FROM jobs j JOIN tenants t ON t.id = j.tenant_id
      WHERE ${mayAccess(principal)} AND ${condition} ${tail}`.execute(db);
    return rows.map((row) => ({ ...row, history: row.history.map(withPlainTime) }));
  }

  return {
    /** Newest first. */
    async list(principal: Principal, filter: JobFilter, page: PageRequest): Promise<Page<JobReport>> {
      const condition = conditionOf(filter);
      const { after } = page;
      const rows = await select(
        principal,
        after === undefined ? condition : sql<boolean>`${condition} AND j.id < ${after}`,
        sql`ORDER BY j.id DESC LIMIT ${page.limit + 1} OFFSET ${after === undefined ? page.offset : 0}`,
      );
      const counted = await sql<{ count: number }>`
        SELECT count(*) AS count FROM jobs j WHERE ${mayAccess(principal)} AND ${condition}`.execute(db);
      return pageOf(rows, page.limit, counted.rows[0]?.count ?? 0, (row) => row);
    },

    async find(principal: Principal, id: number): Promise<JobReport | undefined> {
      return (await select(principal, sql<boolean>`j.id = ${id}`))[0];
    },

    /** Gives a failed job a new set of tries. */
    async retry(principal: Principal, id: number): Promise<Retry> {
      const retried = await retryWhere(sql<boolean>`j.id = ${id} AND ${mayAccess(principal)}`);
      if (retried.length > 0) return 'retried';
      return (await select(principal, sql<boolean>`j.id = ${id}`)).length > 0 ? 'unfit' : 'not-found';
    },

    /** The same for all failed jobs that a filter leaves; answers which. */
    retryAll: (principal: Principal, filter: JobFilter): Promise<DueJob[]> =>
      retryWhere(sql<boolean>`${mayAccess(principal)} AND ${conditionOf(filter)}`),

    /** What waits and what is in work, for each kind that has any. */
    async depth(): Promise<QueueDepth[]> {
      const { rows } = await sql<QueueDepth>`
        SELECT kind, count(*) FILTER (WHERE state = 'pending') AS pending,
          count(*) FILTER (WHERE state = 'processing') AS processing,
          CASE WHEN count(*) FILTER (WHERE state = 'pending') > 0 THEN extract(
            epoch FROM now() - least(now(), min(run_at) FILTER (WHERE state = 'pending')))::float8 END AS "oldestPendingSeconds"
        FROM jobs WHERE state IN ('pending', 'processing') GROUP BY kind ORDER BY kind`.execute(db);
      return rows;
    },

    async countFailed(): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM jobs WHERE state = 'failed'`.execute(db);
      return rows[0]?.count ?? 0;
    },
  };

  /** The last job of an image only: an older one has been followed by another run. */
  async function retryWhere(condition: ReturnType<typeof conditionOf>): Promise<DueJob[]> {
    const query = sql<DueJob>`
      WITH again AS (
        UPDATE jobs SET state = 'pending', run_at = now(), lease_until = NULL, finished_at = NULL, retries = 0, crashes = 0,
          lease_losses = 0, failure_class = NULL, failure_stage = NULL, error_code = NULL, error = NULL
        WHERE id IN (
          SELECT j.id FROM jobs j JOIN images i ON i.id = j.image_id
          WHERE j.state = 'failed' AND i.deleted_at IS NULL AND i.status = 'failed' AND ${condition}
            AND NOT EXISTS (SELECT 1 FROM jobs later WHERE later.image_id = j.image_id AND later.id > j.id)
          FOR UPDATE OF j SKIP LOCKED)
        RETURNING id, kind, image_id),
      shown AS (
        UPDATE images SET status = 'pending', error = NULL, error_code = NULL, processed_at = NULL, updated_at = now()
        WHERE id IN (SELECT image_id FROM again))
      SELECT id, kind FROM again`;
    // A purge locks the image before its jobs, so a deadlock is possible.
    const { rows } = await retrying(() => query.execute(db));
    return rows;
  }
}

/** JSON in the database holds times with its own zone; everywhere else they are in UTC. */
function withPlainTime(attempt: FailedAttempt): FailedAttempt {
  return { ...attempt, at: new Date(attempt.at).toISOString() };
}

function mayAccess({ tenantId }: Principal) {
  return tenantId === null ? sql<boolean>`true` : sql<boolean>`j.tenant_id = ${tenantId}`;
}

function conditionOf(filter: JobFilter) {
  const parts = [
    filter.state === undefined ? undefined : sql`j.state = ${filter.state}`,
    filter.kind === undefined ? undefined : sql`j.kind = ${filter.kind}`,
    filter.imageId === undefined ? undefined : sql`j.image_id = ${filter.imageId}`,
    filter.code === undefined ? undefined : sql`j.error_code IN (${sql.join(codesOf(filter.code))})`,
    filter.failureClass === undefined ? undefined : sql`j.failure_class = ${filter.failureClass}`,
    filter.tenant === undefined
      ? undefined
      : sql`j.tenant_id = (SELECT id FROM tenants WHERE name = ${filter.tenant})`,
  ].filter((part) => part !== undefined);
  return parts.length > 0 ? sql<boolean>`${sql.join(parts, sql` AND `)}` : sql<boolean>`true`;
}
