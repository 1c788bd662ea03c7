import { sql } from 'kysely';
import type { ExpectedVariant } from '../../model/campaign.ts';
import { type DueJob, priorities } from '../../model/job.ts';
import type { Database, Queryable } from '../database.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';
import {
  countOutdatedFiles,
  countOutdatedImages,
  type FocusedImage,
  type ImageScope,
  readFocusedImages,
  readImageWindow,
} from './outdated-images.ts';

/** A running campaign that still has images without a job. */
export interface OpenCampaign {
  readonly id: number;
  /** Empty if the campaign describes images again. */
  readonly presets: readonly string[];
  /** The embedding space into which it brings images; `null` if it re-renders them. */
  readonly space: string | null;
  readonly fingerprintVersion: number | null;
}

/** How jobs are added to a campaign. */
export interface FillOptions {
  readonly expected: readonly ExpectedVariant[];
  /** Whether an image whose recipes depend on its focal point needs a job. */
  readonly isOutdated: (image: FocusedImage) => boolean;
  /** Maximum number of pending jobs of the campaign. */
  readonly maxPending: number;
}

/** A campaign whose last job has ended. */
export interface FinishedCampaign {
  readonly id: number;
  readonly state: 'completed' | 'cancelled';
  readonly space: string | null;
  readonly done: number;
  readonly failed: number;
}

/** Mean size of the existing files of a preset and format. */
export interface MeanBytes {
  readonly preset: string;
  readonly format: string;
  readonly bytes: number;
}

/** Number of images that one query checks. */
const windowSize = 1_000;

/** Maximum number of windows in one transaction, so that it does not lock the campaign for long. */
const maxWindows = 10;

/** Number of recent jobs whose mean time is used. */
const measuredJobs = 200;

/** Creates the queries that estimate campaigns, add their jobs and finish them. */
export function makeFillQueries({ sql: db }: Database) {
  return {
    /** Counts outdated and missing files, except those of images that `readFocused` returns. */
    async countOutdated(scope: ImageScope) {
      const images = await countOutdatedImages(db, scope);
      return { images, files: await countOutdatedFiles(db, scope) };
    },

    /** Returns the next images whose recipes depend on their focal point. */
    readFocused: (scope: ImageScope, afterId: number): Promise<FocusedImage[]> =>
      readFocusedImages(db, scope, afterId, windowSize),

    /** Returns the mean size of the existing files of these presets. */
    async readMeanBytes(presets: readonly string[]): Promise<MeanBytes[]> {
      const { rows } = await sql<MeanBytes>`
        SELECT preset, format, (sum(bytes) / sum(count))::float8 AS bytes FROM usage
        WHERE preset = ANY (${presets}::text[]) AND kind IN ('rendition', 'variant')
        GROUP BY preset, format HAVING sum(count) > 0 AND sum(bytes) > 0`.execute(db);
      return rows;
    },

    /** Returns the mean time of recent jobs that made renditions, in seconds; `undefined` if there are none. */
    async readMeanJobSeconds(): Promise<number | undefined> {
      const { rows } = await sql<{ seconds: number | null }>`
        SELECT avg(extract(epoch FROM finished_at - started_at))::float8 AS seconds FROM (
          SELECT started_at, finished_at FROM jobs
          WHERE state = 'completed' AND kind IN ('render', 'derive') AND started_at IS NOT NULL
          ORDER BY finished_at DESC LIMIT ${measuredJobs}) recent_jobs`.execute(db);
      return rows[0]?.seconds ?? undefined;
    },

    /** Lists the running campaigns that still have images without a job. */
    async listOpen(): Promise<OpenCampaign[]> {
      const { rows } = await sql<OpenCampaign>`
        SELECT id, presets, space, fingerprint_version AS "fingerprintVersion" FROM campaigns WHERE state = 'running' AND NOT has_all_jobs AND done IS NULL
        ORDER BY id`.execute(db);
      return rows;
    },

    /**
     * Adds jobs for the next outdated images of a campaign, unless more than half of `maxPending` jobs are pending, the
     * campaign is not running, or another process is adding jobs. Returns the added jobs.
     */
    fill: (campaignId: number, options: FillOptions): Promise<DueJob[]> =>
      retryingTransaction(db, (transaction) => fillInTransaction(transaction, campaignId, options)),

    /** Finishes the campaigns whose last job has ended, and stores their counts. Returns them. */
    async finish(): Promise<FinishedCampaign[]> {
      const query = sql<FinishedCampaign>`
        UPDATE campaigns c SET state = CASE WHEN state = 'running' THEN 'completed' ELSE state END,
          finished_at = now(),
          done = (SELECT count(*) FROM jobs j WHERE j.campaign_id = c.id AND j.state = 'completed'),
          failed = (SELECT count(*) FROM jobs j WHERE j.campaign_id = c.id AND j.state = 'failed')
        WHERE done IS NULL AND (state = 'cancelled' OR state = 'running' AND has_all_jobs) AND NOT EXISTS (
          SELECT 1 FROM jobs j WHERE j.campaign_id = c.id AND j.state IN ('pending', 'processing'))
        RETURNING id, state, space, done, failed`;
      const { rows } = await retrying(() => query.execute(db));
      return rows;
    },
  };
}

/** How far the jobs of a campaign have been added. */
export interface CampaignProgress {
  readonly tenantId: number | null;
  readonly lastImageId: number;
  readonly pending: number;
}

async function fillInTransaction(
  transaction: Queryable,
  campaignId: number,
  { expected, isOutdated, maxPending }: FillOptions,
): Promise<DueJob[]> {
  const progress = await lockCampaign(transaction, campaignId);
  // Jobs are added in large batches, because each batch checks many images.
  if (!progress || progress.pending > maxPending / 2) return [];
  const scope = { tenantId: progress.tenantId, expected };
  const imageIds: number[] = [];
  const room = maxPending - progress.pending;
  let { lastImageId } = progress;
  let hasAllJobs = false;
  for (let windows = 0; windows < maxWindows && imageIds.length < room && !hasAllJobs; windows++) {
    const { images, lastId } = await readImageWindow(transaction, scope, lastImageId, windowSize);
    const outdatedIds = images.filter((image) => !isFocused(image) || isOutdated(image)).map(({ id }) => id);
    const chosenIds = outdatedIds.slice(0, room - imageIds.length);
    imageIds.push(...chosenIds);
    hasAllJobs = lastId === undefined;
    lastImageId = (chosenIds.length < outdatedIds.length ? chosenIds.at(-1) : lastId) ?? lastImageId;
  }
  return addJobs(transaction, campaignId, { imageIds, lastImageId, hasAllJobs });
}

/** Adds jobs for the chosen images, and records the position. */
export async function addJobs(
  transaction: Queryable,
  campaignId: number,
  {
    imageIds,
    lastImageId,
    hasAllJobs,
  }: {
    readonly imageIds: readonly number[];
    readonly lastImageId: number;
    readonly hasAllJobs: boolean;
  },
): Promise<DueJob[]> {
  const jobs = await insertJobs(transaction, campaignId, imageIds);
  await sql`
    UPDATE campaigns SET last_image_id = ${lastImageId}, has_all_jobs = ${hasAllJobs}, jobs = jobs + ${jobs.length}
    WHERE id = ${campaignId}`.execute(transaction);
  return jobs;
}

/** Locks a running campaign. Returns `undefined` if it needs no jobs, or if another transaction has locked it. */
export async function lockCampaign(
  transaction: Queryable,
  id: number,
): Promise<CampaignProgress | undefined> {
  const { rows } = await sql<CampaignProgress>`
    SELECT tenant_id AS "tenantId", last_image_id AS "lastImageId",
      (SELECT count(*) FROM jobs WHERE campaign_id = ${id} AND state = 'pending') AS pending
    FROM campaigns WHERE id = ${id} AND state = 'running' AND NOT has_all_jobs FOR UPDATE SKIP LOCKED`.execute(
    transaction,
  );
  return rows[0];
}

/** Adds a job for each image, unless the image has been purged or already has one. */
async function insertJobs(
  transaction: Queryable,
  campaignId: number,
  imageIds: readonly number[],
): Promise<DueJob[]> {
  if (imageIds.length === 0) return [];
  const { rows } = await sql<DueJob>`
    INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state, campaign_id)
    SELECT 'render', id, tenant_id, content_hash, ${priorities.low}::smallint, 'pending', ${campaignId}::bigint
    FROM images WHERE id = ANY (${imageIds}::bigint[]) ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id, kind`.execute(transaction);
  return rows;
}

function isFocused(image: { readonly id: number } & Partial<FocusedImage>): image is FocusedImage {
  return image.focalPoint !== undefined && image.renditions !== undefined;
}
