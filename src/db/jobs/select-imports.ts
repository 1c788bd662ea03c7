import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../database.ts';

/** Maximum numbers of concurrent downloads, in all processes together. */
export interface ImportLimits {
  /** From one host; 0 means no limit. */
  readonly perHost: number;
  /** For one tenant; 0 means no limit. */
  readonly perTenant: number;
}

/** Number of the advisory lock that serialises the claims of imports. Otherwise, two claims could fill the same free place. */
const claimLock = 7_239_016;

/** Number of due jobs that a claim examines at a time, if the first ones do not fill its capacity. */
const maxExamined = 1_000;

/** Number of times that a claim examines further jobs. If that is not enough, the next claim continues. */
const maxRounds = 5;

/**
 * Returns the ids of up to `count` due imports that may start under the limits, in order of priority and turn. Jobs that
 * exceed a limit are held: they stay pending, but are not examined again until a place is free. The caller must claim the
 * returned jobs in the same transaction.
 */
export async function selectImports(
  transaction: Queryable,
  count: number,
  limits: ImportLimits,
): Promise<number[]> {
  await sql`SELECT pg_advisory_xact_lock(${claimLock})`.execute(transaction);
  await releaseHeldImports(transaction, count, limits);
  const selectedIds: number[] = [];
  let windowSize = 4 * count;
  for (let round = 0; round < maxRounds; round += 1) {
    const examined = await examineDueImports(transaction, windowSize, selectedIds, limits);
    const admissibleIds = examined.filter(({ heldFor }) => heldFor === null).map(({ id }) => id);
    selectedIds.push(...admissibleIds.slice(0, count - selectedIds.length));
    if (selectedIds.length === count || examined.length < windowSize) break;
    windowSize = maxExamined;
  }
  return selectedIds;
}

/** The running imports, and those that this claim has already selected. */
function runningImports(selectedIds: readonly number[]): RawBuilder<unknown> {
  return sql`
    SELECT source_host, tenant_id FROM jobs WHERE state = 'processing' AND kind = 'import'
    UNION ALL SELECT source_host, tenant_id FROM jobs WHERE id = ANY (${selectedIds}::bigint[])`;
}

/** Removes the hold of as many jobs as there are free places, up to `count` for each limit. */
async function releaseHeldImports(
  transaction: Queryable,
  count: number,
  { perHost, perTenant }: ImportLimits,
): Promise<void> {
  await sql`
    WITH RECURSIVE reasons AS (
      -- Jumps from one reason to the next, because there are few reasons and possibly many held jobs.
      (SELECT held_for FROM jobs WHERE state = 'pending' AND held_for IS NOT NULL ORDER BY held_for LIMIT 1)
      UNION ALL
      SELECT (SELECT held_for FROM jobs WHERE state = 'pending' AND held_for > reasons.held_for ORDER BY held_for LIMIT 1)
      FROM reasons WHERE reasons.held_for IS NOT NULL),
    running_imports AS (${runningImports([])}),
    places AS (
      SELECT held_for, ${limitOrInfinity(sql`CASE WHEN held_for LIKE 'host %' THEN ${perHost}::int ELSE ${perTenant}::int END`)}
        - (SELECT count(*) FROM running_imports
           WHERE held_for IN ('host ' || source_host, 'tenant ' || tenant_id)) AS free
      FROM reasons WHERE held_for IS NOT NULL),
    released_jobs AS (
      SELECT held_job.id FROM places CROSS JOIN LATERAL (
        SELECT id FROM jobs WHERE state = 'pending' AND held_for = places.held_for
        ORDER BY priority, turn, id LIMIT greatest(0, least(places.free, ${count}::int))) held_job)
    UPDATE jobs SET held_for = NULL WHERE id IN (SELECT id FROM released_jobs)`.execute(transaction);
}

/** Examines the next due imports in order, and holds those that exceed a limit. `heldFor` is `null` for the others. */
async function examineDueImports(
  transaction: Queryable,
  windowSize: number,
  selectedIds: readonly number[],
  { perHost, perTenant }: ImportLimits,
): Promise<{ readonly id: number; readonly heldFor: string | null }[]> {
  const { rows } = await sql<{ id: number; heldFor: string | null }>`
    WITH running_imports AS MATERIALIZED (${runningImports(selectedIds)}),
    due_jobs AS MATERIALIZED (
      SELECT id, source_host, tenant_id, priority, turn FROM jobs
      WHERE state = 'pending' AND held_for IS NULL AND kind = 'import' AND run_at <= now()
        AND NOT id = ANY (${selectedIds}::bigint[])
      ORDER BY priority, turn, id LIMIT ${windowSize} FOR UPDATE SKIP LOCKED),
    by_host AS (
      SELECT *, row_number() OVER (PARTITION BY source_host ORDER BY priority, turn, id)
        + (SELECT count(*) FROM running_imports r WHERE r.source_host = due_jobs.source_host) AS host_place
      FROM due_jobs),
    -- Only jobs within the limit of their host take a place of their tenant.
    by_tenant AS (
      SELECT *, count(*) FILTER (WHERE host_place <= ${limitOrInfinity(sql`${perHost}::int`)})
          OVER (PARTITION BY tenant_id ORDER BY priority, turn, id)
        + (SELECT count(*) FROM running_imports r WHERE r.tenant_id = by_host.tenant_id) AS tenant_place
      FROM by_host),
    examined_jobs AS MATERIALIZED (
      SELECT id, priority, turn,
        CASE WHEN host_place > ${limitOrInfinity(sql`${perHost}::int`)} THEN 'host ' || source_host
          WHEN tenant_place > ${limitOrInfinity(sql`${perTenant}::int`)} THEN 'tenant ' || tenant_id END AS held_for
      FROM by_tenant),
    held_jobs AS (
      UPDATE jobs SET held_for = examined_jobs.held_for FROM examined_jobs
      WHERE jobs.id = examined_jobs.id AND examined_jobs.held_for IS NOT NULL)
    SELECT id, held_for AS "heldFor" FROM examined_jobs ORDER BY priority, turn, id`.execute(transaction);
  return rows;
}

function limitOrInfinity(limit: RawBuilder<unknown>): RawBuilder<number> {
  return sql`coalesce(nullif(${limit}, 0), 2147483647)`;
}
