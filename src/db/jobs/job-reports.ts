import { type RawBuilder, sql } from 'kysely';
import { findMatchingCodes } from '../../errors.ts';
import type { FailedAttempt, FailureClass, JobKind, JobReport, JobState } from '../../model/job.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database } from '../database.ts';
import { allOf, isAfterCursor, isVisibleTo, limitTo, buildPage } from '../lists.ts';

/** Filter for a list of jobs. All given fields must match. */
export interface JobFilter {
  readonly state?: JobState | undefined;
  readonly kind?: JobKind | undefined;
  readonly tenant?: string | undefined;
  readonly imageId?: number | undefined;
  /** Code of the last error, or a family of codes that includes it. */
  readonly code?: string | undefined;
  readonly failureClass?: FailureClass | undefined;
}

/** Queue depth for one job kind. */
export interface QueueDepth {
  readonly kind: JobKind;
  readonly pending: number;
  readonly processing: number;
  /** How long the oldest pending job has been due: 0 if no job is due yet, `null` if no job is pending. */
  readonly oldestPendingSeconds: number | null;
}

/** Pending jobs of one kind and tenant. */
export interface TenantQueueDepth {
  readonly kind: JobKind;
  readonly tenantId: number;
  readonly pending: number;
  /** How long the oldest pending job has been due; 0 if no job is due yet. */
  readonly oldestPendingSeconds: number;
}

/** Queries that report jobs and queue depth to operators. */
export type JobReportQueries = ReturnType<typeof makeJobReportQueries>;

/** @see JobReportQueries */
export function makeJobReportQueries({ sql: db }: Database) {
  async function select(
    principal: Principal,
    condition: RawBuilder<boolean>,
    tail = sql``,
  ): Promise<JobReport[]> {
    const { rows } = await sql<JobReport>`
      SELECT j.id, j.kind, j.state, j.image_id AS "imageId", t.name AS tenant, j.content_hash AS "contentHash", j.priority,
        j.retries, j.crashes, j.lease_losses AS "leaseLosses", j.failure_class AS "failureClass",
        j.failure_stage AS "failureStage", j.error_code AS "errorCode", j.error, j.history, j.created_at AS "createdAt",
        j.run_at AS "runAt", j.started_at AS "startedAt", j.finished_at AS "finishedAt"
      FROM jobs j JOIN tenants t ON t.id = j.tenant_id
      WHERE ${isVisibleTo(principal, 'j.tenant_id')} AND ${condition} ${tail}`.execute(db);
    return rows.map((row) => ({ ...row, history: row.history.map(withUtcTime) }));
  }

  return {
    /** Lists jobs, newest first. */
    async list(principal: Principal, filter: JobFilter, page: PageRequest): Promise<Page<JobReport>> {
      const rows = await select(
        principal,
        sql`${matchesFilter(filter)} AND ${isAfterCursor(page, 'j.id')}`,
        sql`ORDER BY j.id DESC ${limitTo(page)}`,
      );
      const total = await sql<{ count: number }>`
        SELECT count(*) AS count FROM jobs j
        WHERE ${isVisibleTo(principal, 'j.tenant_id')} AND ${matchesFilter(filter)}`.execute(db);
      return buildPage(rows, page.limit, total.rows[0]?.count ?? 0, (row) => row);
    },

    async find(principal: Principal, id: number): Promise<JobReport | undefined> {
      return (await select(principal, sql`j.id = ${id}`))[0];
    },

    /** Returns the queue depth of each job kind with pending or processing jobs. */
    async readQueueDepth(): Promise<QueueDepth[]> {
      const { rows } = await sql<QueueDepth>`
        SELECT kind, count(*) FILTER (WHERE state = 'pending') AS pending,
          count(*) FILTER (WHERE state = 'processing') AS processing,
          CASE WHEN count(*) FILTER (WHERE state = 'pending') > 0 THEN extract(
            epoch FROM now() - least(now(), min(run_at) FILTER (WHERE state = 'pending')))::float8 END AS "oldestPendingSeconds"
        FROM jobs WHERE state IN ('pending', 'processing') GROUP BY kind ORDER BY kind`.execute(db);
      return rows;
    },

    /** Returns the pending jobs of each kind and tenant. */
    async readTenantQueueDepths(): Promise<TenantQueueDepth[]> {
      const { rows } = await sql<TenantQueueDepth>`
        SELECT kind, tenant_id AS "tenantId", count(*) AS pending,
          extract(epoch FROM now() - least(now(), min(run_at)))::float8 AS "oldestPendingSeconds"
        FROM jobs WHERE state = 'pending' GROUP BY kind, tenant_id`.execute(db);
      return rows;
    },

    async countFailed(): Promise<number> {
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM jobs WHERE state = 'failed'`.execute(db);
      return rows[0]?.count ?? 0;
    },
  };
}

/** Converts the time to UTC, because the database formats times in JSON in the server's time zone. */
function withUtcTime(attempt: FailedAttempt): FailedAttempt {
  return { ...attempt, at: new Date(attempt.at).toISOString() };
}

/** Condition on `jobs j` that is true for the jobs that match `filter`. */
export function matchesFilter(filter: JobFilter): RawBuilder<boolean> {
  const { state, kind, imageId, code, failureClass, tenant } = filter;
  return allOf([
    state === undefined ? undefined : sql`j.state = ${state}`,
    kind === undefined ? undefined : sql`j.kind = ${kind}`,
    imageId === undefined ? undefined : sql`j.image_id = ${imageId}`,
    code === undefined ? undefined : sql`j.error_code IN (${sql.join(findMatchingCodes(code))})`,
    failureClass === undefined ? undefined : sql`j.failure_class = ${failureClass}`,
    tenant === undefined ? undefined : sql`j.tenant_id = (SELECT id FROM tenants WHERE name = ${tenant})`,
  ]);
}
