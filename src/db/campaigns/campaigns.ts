import { type RawBuilder, sql } from 'kysely';
import type { AuditAction } from '../../model/audit.ts';
import type { Campaign, CampaignFailure, CampaignState } from '../../model/campaign.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { buildPage, isAfterCursor, isVisibleTo, limitTo } from '../lists.ts';
import { makeFillQueries } from './fill.ts';
import { makeReindexingQueries } from './reindexings.ts';

/** A campaign to create. */
export interface NewCampaign {
  readonly presets: readonly string[];
  /** `null` for the images of all tenants. */
  readonly tenantId: number | null;
  /** Number of images and files that are outdated or missing. */
  readonly images: number;
  readonly files: number;
}

/** Changes of a campaign by its operator. */
export type CampaignChange = 'pause' | 'resume' | 'cancel';

/** Outcome of a change. `finished` means that the campaign has been completed or cancelled. */
export type ChangeOutcome = 'changed' | 'unchanged' | 'finished' | 'not-found';

const targetStates: Readonly<Record<CampaignChange, CampaignState>> = {
  pause: 'paused',
  resume: 'running',
  cancel: 'cancelled',
};
const auditActions: Readonly<Record<CampaignChange, AuditAction>> = {
  pause: 'campaign.pause',
  resume: 'campaign.resume',
  cancel: 'campaign.cancel',
};

/** Queries on campaigns. */
export type CampaignQueries = ReturnType<typeof makeCampaignQueries>;

type CampaignRow = Omit<Campaign, 'total' | 'done' | 'skipped' | 'failed' | 'remainingSeconds'> & {
  readonly images: number;
  /** Number of jobs that have been added. */
  readonly jobs: number;
  readonly hasAllJobs: boolean;
  readonly done: number;
  readonly failed: number;
  /** Number of jobs that are pending or running. */
  readonly unfinished: number;
  /** Time since the first of the jobs that ended in the last minute; `null` if none did. */
  readonly measuredSeconds: number | null;
};

/** @see CampaignQueries */
export function makeCampaignQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  const { sql: db } = database;

  async function select(
    principal: Pick<Principal, 'tenantId'>,
    condition: RawBuilder<boolean>,
    tail = sql``,
  ): Promise<Campaign[]> {
    const { rows } = await sql<CampaignRow>`
      SELECT c.id, CASE WHEN c.space IS NULL THEN 'rendering' ELSE 'reindexing' END AS kind, c.presets, t.name AS tenant, c.state, c.images, c.jobs, c.has_all_jobs AS "hasAllJobs",
        coalesce(c.done, counted.done) AS done, coalesce(c.failed, counted.failed) AS failed, counted.unfinished,
        counted."donePerMinute", counted."measuredSeconds", c.created_by AS "createdBy", c.created_at AS "createdAt", c.finished_at AS "finishedAt"
      FROM campaigns c LEFT JOIN tenants t ON t.id = c.tenant_id
      CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE j.state = 'completed') AS done, count(*) FILTER (WHERE j.state = 'failed') AS failed,
          count(*) FILTER (WHERE j.state IN ('pending', 'processing')) AS unfinished,
          count(*) FILTER (WHERE j.finished_at > now() - interval '1 minute') AS "donePerMinute",
          extract(epoch FROM now() - min(j.finished_at) FILTER (WHERE j.finished_at > now() - interval '1 minute'))::float8
            AS "measuredSeconds"
        FROM jobs j WHERE j.campaign_id = c.id AND c.done IS NULL) counted
      WHERE ${isVisibleTo(principal, 'c.tenant_id')} AND ${condition} ${tail}`.execute(db);
    return rows.map(toCampaign);
  }

  return {
    ...makeFillQueries(database),
    ...makeReindexingQueries(database, vectors),

    /** Creates a running campaign without jobs. Returns its id. */
    create: (actor: Actor, campaign: NewCampaign): Promise<number> =>
      retryingTransaction(db, async (transaction) => {
        const { presets, tenantId, images, files } = campaign;
        const { rows } = await sql<{ id: number }>`
          INSERT INTO campaigns (tenant_id, presets, images, files, created_by)
          VALUES (${tenantId}, ${presets}::text[], ${images}, ${files}, ${actor.subject}) RETURNING id`.execute(
          transaction,
        );
        const id = rows[0]?.id ?? 0;
        await recordChange(transaction, actor, 'campaign.create', id, { presets, images, files });
        return id;
      }),

    /** Lists campaigns that the principal may see, newest first. */
    async list(principal: Pick<Principal, 'tenantId'>, page: PageRequest): Promise<Page<Campaign>> {
      const rows = await select(
        principal,
        isAfterCursor(page, 'c.id'),
        sql`ORDER BY c.id DESC ${limitTo(page)}`,
      );
      const total = await sql<{ count: number }>`
        SELECT count(*) AS count FROM campaigns WHERE ${isVisibleTo(principal, 'tenant_id')}`.execute(db);
      return buildPage(rows, page.limit, total.rows[0]?.count ?? 0, (row) => row);
    },

    async find(principal: Pick<Principal, 'tenantId'>, id: number): Promise<Campaign | undefined> {
      return (await select(principal, sql`c.id = ${id}`))[0];
    },

    /** Lists the first `limit` images that failed. Failed jobs are removed some time after the end of the campaign. */
    async listFailures(id: number, limit: number): Promise<CampaignFailure[]> {
      const { rows } = await sql<CampaignFailure>`
        SELECT id AS "jobId", image_id AS "imageId", error_code AS code, error FROM jobs
        WHERE campaign_id = ${id} AND state = 'failed' ORDER BY id LIMIT ${limit}`.execute(db);
      return rows;
    },

    /** Returns the names of the presets of a campaign. */
    async findPresets(id: number): Promise<readonly string[]> {
      const { rows } = await sql<{ presets: string[] }>`
        SELECT presets FROM campaigns WHERE id = ${id}`.execute(db);
      return rows[0]?.presets ?? [];
    },

    /** Pauses, resumes or cancels a campaign that the principal may see. Removes its pending jobs, unless it is resumed. */
    change: (
      principal: Actor & Pick<Principal, 'tenantId'>,
      id: number,
      change: CampaignChange,
    ): Promise<ChangeOutcome> =>
      retryingTransaction(db, async (transaction) => {
        const { rows } = await sql<{ state: CampaignState }>`
          SELECT state FROM campaigns WHERE id = ${id} AND ${isVisibleTo(principal, 'tenant_id')} FOR UPDATE`.execute(
          transaction,
        );
        const state = rows[0]?.state;
        if (!state) return 'not-found';
        if (state === targetStates[change]) return 'unchanged';
        if (state === 'completed' || state === 'cancelled') return 'finished';
        if (change !== 'resume') await takeBackJobs(transaction, id);
        await sql`UPDATE campaigns SET state = ${targetStates[change]} WHERE id = ${id}`.execute(transaction);
        await recordChange(transaction, principal, auditActions[change], id);
        return 'changed';
      }),
  };
}

/**
 * Removes the pending jobs of a campaign, and moves its position back to before their images. Images after that position that
 * are already done are no longer outdated, so none is processed twice.
 */
async function takeBackJobs(transaction: Queryable, id: number): Promise<void> {
  await sql`
    WITH removed_jobs AS (
      DELETE FROM jobs WHERE campaign_id = ${id} AND state = 'pending' RETURNING image_id),
    removed AS (SELECT count(*) AS count, min(image_id) AS first_image_id FROM removed_jobs)
    UPDATE campaigns SET jobs = jobs - removed.count, has_all_jobs = false,
      last_image_id = least(last_image_id, removed.first_image_id - 1)
    FROM removed WHERE id = ${id} AND removed.count > 0`.execute(transaction);
}

async function recordChange(
  transaction: Queryable,
  actor: Actor,
  action: AuditAction,
  id: number,
  details: object = {},
): Promise<void> {
  await insertAudit(actor, {
    action,
    from: sql`(SELECT id, tenant_id FROM campaigns WHERE id = ${id}) campaign`,
    tenantId: sql`campaign.tenant_id`,
    target: sql`campaign.id::text`,
    details: sql`${JSON.stringify(details)}::jsonb`,
  }).execute(transaction);
}

/** Shortest time from which the remaining time is extrapolated. */
const minMeasuredSeconds = 2;

function toCampaign({
  images,
  jobs,
  hasAllJobs,
  unfinished,
  measuredSeconds,
  ...row
}: CampaignRow): Campaign {
  const { state, done, failed, donePerMinute } = row;
  const isFinished = state === 'completed' || state === 'cancelled';
  const jobsWithoutOutcome = Math.max(0, jobs - done - failed - unfinished);
  // Images that were outdated at the start but got no job were up to date when they were reached.
  const withoutJob = hasAllJobs ? Math.max(0, images - jobs) : 0;
  const total = Math.max(images, jobs);
  const skipped = jobsWithoutOutcome + withoutJob;
  const remaining = Math.max(0, total - done - failed - skipped);
  const canEstimate = state === 'running' && (donePerMinute > 0 || remaining === 0);
  return {
    ...row,
    total,
    skipped,
    donePerMinute: isFinished ? 0 : donePerMinute,
    remainingSeconds: canEstimate
      ? Math.ceil(
          (remaining * Math.max(minMeasuredSeconds, measuredSeconds ?? 0)) / Math.max(1, donePerMinute),
        )
      : null,
  };
}
