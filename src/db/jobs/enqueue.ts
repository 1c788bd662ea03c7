import { type RawBuilder, sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ClaimedJob, DueJob } from '../../model/job.ts';
import type { PictureFacts } from '../../model/picture.ts';
import { limitsStorage, type Quotas } from '../../model/quota.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';
import { contentLock, lockContent } from '../images/content-lock.ts';
import { claimRoom } from '../quotas.ts';
import type { Schema } from '../schema.ts';

/** An upload to record. Its original is already in storage. */
export interface NewUpload {
  /** Who uploads it. */
  readonly actor: Actor;
  readonly tenantId: number;
  readonly contentHash: string;
  readonly filename: string;
  readonly originalKey: string;
  readonly bytes: number;
  readonly facts: PictureFacts;
  readonly priority: number;
  /** Quotas of the tenant; by default, none. */
  readonly quotas?: Quotas | undefined;
  /** If set, this process claims the job immediately, with a lease of this length. */
  readonly leaseSeconds?: number | undefined;
}

/** Outcome of an upload: a new image, a failed image that is processed again, or an existing image. */
export type EnqueuedUpload =
  | { readonly outcome: 'new' | 'retried'; readonly imageId: number; readonly job: ClaimedJob }
  | { readonly outcome: 'known'; readonly imageId: number };

/** Creates the queries that insert a pending or processing job. */
export function makeEnqueueQueries({ sql: db }: Database) {
  return {
    /**
     * Records an upload as an image and a job. Waits for concurrent transactions on the same content.
     * @throws {AppError} `quota_exceeded` if the upload is a new image and there is no room for it.
     */
    async enqueueUpload(upload: NewUpload): Promise<EnqueuedUpload> {
      if (!hasQuotas(upload)) {
        const insertedRows = await retrying(() => insertImageAndJob(db, upload));
        if (insertedRows) return toEnqueuedUpload(upload, insertedRows);
      }
      return retryingTransaction(db, (transaction) => enqueueInTransaction(transaction, upload));
    },

    /**
     * Adds a job that re-creates a completed image's renditions. Returns `undefined` if the image is not completed, or if it
     * already has a pending or processing job other than a `render` job.
     */
    async requeue(imageId: number, priority: number): Promise<DueJob | undefined> {
      const query = sql<DueJob>`
        INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state)
        SELECT 'derive', id, tenant_id, content_hash, ${priority}::smallint, 'pending' FROM images
        WHERE id = ${imageId} AND status = 'completed' AND original_key IS NOT NULL AND NOT EXISTS (
          SELECT 1 FROM jobs WHERE image_id = images.id AND kind <> 'render' AND state IN ('pending', 'processing'))
        RETURNING id, kind`;
      // Between the check and the insertion, the image may be purged or receive a job. A unique index rejects a second job.
      const { rows } = await retrying(() => query.execute(db));
      return rows[0];
    },
  };
}

interface InsertedRows {
  readonly imageId: number;
  readonly jobId: number;
}

/** Inserts an image and its job in one statement, for speed. Returns `undefined` if the tenant already has the content. */
async function insertImageAndJob(db: Queryable, upload: NewUpload): Promise<InsertedRows | undefined> {
  const { facts } = upload;
  const { rows } = await sql<InsertedRows>`
    WITH locked_content AS MATERIALIZED (SELECT ${contentLock(upload.tenantId, upload.contentHash)}),
    inserted_image AS (
      INSERT INTO images (uuid, tenant_id, status, original_filename, content_hash, original_key, original_bytes,
        width, height, format, frames, color_space, has_alpha, bit_depth)
      SELECT ${uuidv7()}::uuid, ${upload.tenantId}::int, ${initialState(upload)}, ${upload.filename}, ${upload.contentHash},
        ${upload.originalKey}, ${upload.bytes}::bigint, ${facts.width}::int, ${facts.height}::int, ${facts.format},
        ${facts.frames}::int, ${facts.colorSpace}, ${facts.hasAlpha}::boolean, ${facts.bitDepth}::smallint
      FROM locked_content
      ON CONFLICT DO NOTHING
      RETURNING id, uuid),
    written_entry AS (${insertAudit(upload.actor, {
      action: 'image.create',
      from: sql`inserted_image`,
      tenantId: sql`${upload.tenantId}::int`,
      target: sql`inserted_image.uuid::text`,
      details: sql`jsonb_build_object('content_hash', ${upload.contentHash}::text)`,
    })}),
    inserted_job AS (${insertJob(upload, sql`inserted_image`)})
    SELECT inserted_image.id AS "imageId", inserted_job.id AS "jobId" FROM inserted_image, inserted_job`.execute(
    db,
  );
  return rows[0];
}

/** Returns the `INSERT` statement for the upload's job. @param image table expression that yields a row with an `id` */
function insertJob(upload: NewUpload, image: RawBuilder<unknown>): RawBuilder<{ id: number }> {
  const isClaimed = upload.leaseSeconds !== undefined;
  return sql`
    INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state, lease_token, lease_until, started_at)
    SELECT 'derive', id, ${upload.tenantId}::int, ${upload.contentHash}, ${upload.priority}::smallint,
      ${initialState(upload)}, ${initialLeaseToken(upload)}::bigint, now() + make_interval(secs => ${upload.leaseSeconds ?? null}),
      CASE WHEN ${isClaimed}::boolean THEN now() END
    FROM ${image} RETURNING id`;
}

function hasQuotas({ quotas }: NewUpload): boolean {
  return quotas !== undefined && limitsStorage(quotas);
}

/**
 * Retries a failed image with the newly uploaded bytes. Leaves an image in any other state unchanged. Inserts an image if there
 * is none and the quotas leave room for it.
 */
async function enqueueInTransaction(transaction: Queryable, upload: NewUpload): Promise<EnqueuedUpload> {
  await lockContent(transaction, upload.tenantId, upload.contentHash);
  const { rows } = await sql<Pick<Schema['images'], 'id' | 'status'>>`
    SELECT id, status FROM images
    WHERE tenant_id = ${upload.tenantId} AND content_hash = ${upload.contentHash}
      AND deleted_at IS NULL AND duplicate_of IS NULL
    FOR UPDATE`.execute(transaction);
  const [knownImage] = rows;
  if (!knownImage) {
    if (upload.quotas && hasQuotas(upload))
      await claimRoom(transaction, upload.tenantId, upload.quotas, { images: 1, bytes: upload.bytes });
    const insertedRows = await insertImageAndJob(transaction, upload);
    if (!insertedRows) throw new Error(`Content ${upload.contentHash} was neither found nor inserted.`);
    return toEnqueuedUpload(upload, insertedRows);
  }
  if (knownImage.status !== 'failed') return { outcome: 'known', imageId: knownImage.id };
  await sql`
    UPDATE images SET status = ${initialState(upload)}, error = NULL, error_code = NULL, damaged_at = NULL, updated_at = now()
    WHERE id = ${knownImage.id}`.execute(transaction);
  const { rows: jobRows } = await insertJob(
    upload,
    sql`(SELECT ${knownImage.id}::bigint AS id) known_image`,
  ).execute(transaction);
  const [insertedJob] = jobRows;
  if (!insertedJob) throw new Error(`No job was inserted for image ${knownImage.id}.`);
  return toEnqueuedUpload(upload, { imageId: knownImage.id, jobId: insertedJob.id }, 'retried');
}

function initialState({ leaseSeconds }: NewUpload): 'pending' | 'processing' {
  return leaseSeconds === undefined ? 'pending' : 'processing';
}

function initialLeaseToken({ leaseSeconds }: NewUpload): number {
  return leaseSeconds === undefined ? 0 : 1;
}

function toEnqueuedUpload(
  upload: NewUpload,
  { imageId, jobId }: InsertedRows,
  outcome: 'new' | 'retried' = 'new',
): EnqueuedUpload {
  const job: ClaimedJob = {
    id: jobId,
    kind: 'derive',
    imageId,
    tenantId: upload.tenantId,
    original: { key: upload.originalKey, contentHash: upload.contentHash },
    sourceUrl: null,
    isFirstRun: outcome === 'new',
    leaseToken: initialLeaseToken(upload),
    priority: upload.priority,
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
    variants: null,
    campaignId: null,
    focalPoint: null,
  };
  return { outcome, imageId, job };
}
