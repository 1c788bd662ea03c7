import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ClaimedJob } from '../../model/job.ts';
import type { PictureFacts } from '../../model/picture.ts';
import { contentLock, lockContent, lockFilesOf } from '../images/content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { lockHeldJob } from './fence.ts';
import { removeImage } from '../images/removal.ts';
import { retrying, retryingTransaction } from '../engine/retrying.ts';

/** A picture whose original lies in storage and that is about to be recorded. */
export interface NewUpload {
  readonly tenantId: number;
  readonly contentHash: string;
  readonly filename: string;
  readonly originalKey: string;
  readonly bytes: number;
  readonly facts: PictureFacts;
  readonly priority: number;
  /** Set: the job is claimed in the same transaction, by the process that records it. */
  readonly leaseSeconds?: number | undefined;
}

/** What became of an upload: a new row, a failed one tried again, or one that somebody else recorded first. */
export type Recorded =
  | { readonly outcome: 'new' | 'again'; readonly imageId: number; readonly job: ClaimedJob }
  | { readonly outcome: 'known'; readonly imageId: number };

/** Recording of uploads. */
export type IntakeQueries = ReturnType<typeof makeIntakeQueries>;

/** Recording of uploads: an image and its job come into being together. */
export function makeIntakeQueries({ sql: db }: Database) {
  return {
    /** Records an upload. Whoever removes the same content waits, or has finished before. */
    async record(upload: NewUpload): Promise<Recorded> {
      const made = await retrying(() => insertImageAndJob(db, upload));
      if (!made) return retryingTransaction(db, (transaction) => recordKnown(transaction, upload));
      return { outcome: 'new', imageId: made.imageId, job: heldJob(upload, made.imageId, made.jobId, true) };
    },

    /**
     * Records that a client was given an image that is still being processed: it can no longer be withdrawn. Returns
     * `gone` if it has been removed already.
     */
    async acknowledge(imageId: number): Promise<'acknowledged' | 'deleted' | 'gone'> {
      const { rows } = await sql<{ deleted: boolean }>`
        UPDATE images SET acknowledged = true WHERE id = ${imageId} RETURNING deleted_at IS NOT NULL AS deleted`.execute(
        db,
      );
      const row = rows[0];
      if (!row) return 'gone';
      return row.deleted ? 'deleted' : 'acknowledged';
    },

    /**
     * Takes an inline upload back that turned out to be no usable picture: the image goes, and its original unless
     * another row has the same content. Does nothing if the lease was lost meanwhile, or if the image is visible to
     * others: it was returned to a client, referenced or deleted.
     */
    withdraw: (
      job: ClaimedJob,
      content: { contentHash: string; removeOriginal: () => Promise<void> },
    ): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        const { tenantId, imageId } = job;
        await lockFilesOf(transaction, [imageId], [{ tenantId, contentHash: content.contentHash }]);
        if (!(await lockUnknown(transaction, job))) return false;
        await transaction.deleteFrom('jobs').where('id', '=', job.id).execute();
        await removeImage(transaction, { id: imageId, isHidden: false });
        if (!(await isContentUsed(transaction, tenantId, content.contentHash)))
          await content.removeOriginal();
        return true;
      }),
  };
}

/** Locks a job that is still held, and its image; false if the image is visible to others. */
async function lockUnknown(transaction: Queryable, job: ClaimedJob): Promise<boolean> {
  if (!(await lockHeldJob(transaction, job))) return false;
  const unknown = await sql`
    SELECT 1 FROM images WHERE id = ${job.imageId} AND deleted_at IS NULL AND NOT acknowledged AND in_use_count = 0
    FOR UPDATE`.execute(transaction);
  return unknown.rows.length > 0;
}

/** One statement, because it stands on the way of every new picture; `undefined` when the content is known. */
async function insertImageAndJob(
  db: Queryable,
  upload: NewUpload,
): Promise<{ imageId: number; jobId: number } | undefined> {
  const { facts } = upload;
  const { rows } = await sql<{ imageId: number; jobId: number }>`
    WITH locked AS MATERIALIZED (SELECT ${contentLock(upload.tenantId, upload.contentHash)}),
    new_image AS (
      INSERT INTO images (uuid, tenant_id, status, original_filename, content_hash, original_key, original_bytes,
        width, height, format, frames, color_space, has_alpha, bit_depth)
      SELECT ${uuidv7()}::uuid, ${upload.tenantId}::int, ${stateOf(upload)}, ${upload.filename}, ${upload.contentHash},
        ${upload.originalKey}, ${upload.bytes}::bigint, ${facts.width}::int, ${facts.height}::int, ${facts.format},
        ${facts.frames}::int, ${facts.colorSpace}, ${facts.hasAlpha}::boolean, ${facts.bitDepth}::smallint
      FROM locked
      ON CONFLICT DO NOTHING
      RETURNING id),
    new_job AS (
      INSERT INTO jobs (kind, image_id, tenant_id, content_hash, priority, state, lease_token, lease_until, started_at)
      SELECT 'derive', id, ${upload.tenantId}::int, ${upload.contentHash}, ${upload.priority}::smallint,
        ${stateOf(upload)}, ${firstToken(upload)}::bigint, now() + make_interval(secs => ${upload.leaseSeconds ?? null}),
        CASE WHEN ${upload.leaseSeconds !== undefined}::boolean THEN now() END
      FROM new_image
      RETURNING id)
    SELECT new_image.id AS "imageId", new_job.id AS "jobId" FROM new_image, new_job`.execute(db);
  return rows[0];
}

/** A failed image gets a new run with the bytes that arrived again; any other stays as it is. */
async function recordKnown(transaction: Queryable, upload: NewUpload): Promise<Recorded> {
  await lockContent(transaction, upload.tenantId, upload.contentHash);
  const known = await transaction
    .selectFrom('images')
    .select(['id', 'status'])
    .where('tenant_id', '=', upload.tenantId)
    .where('content_hash', '=', upload.contentHash)
    .where('deleted_at', 'is', null)
    .where('duplicate_of', 'is', null)
    .forUpdate()
    .executeTakeFirst();
  // Deleted or taken back between the two statements: then the way is free.
  if (!known) return recordAfterRemoval(transaction, upload);
  if (known.status !== 'failed') return { outcome: 'known', imageId: known.id };
  await transaction
    .updateTable('images')
    .set({
      status: stateOf(upload),
      error: null,
      error_code: null,
      damaged_at: null,
      updated_at: sql`now()`,
    })
    .where('id', '=', known.id)
    .execute();
  const { id } = await transaction
    .insertInto('jobs')
    .values({
      kind: 'derive',
      image_id: known.id,
      tenant_id: upload.tenantId,
      content_hash: upload.contentHash,
      priority: upload.priority,
      state: stateOf(upload),
      lease_token: firstToken(upload),
      lease_until: sql<Date | null>`now() + make_interval(secs => ${upload.leaseSeconds ?? null})`,
      started_at: upload.leaseSeconds === undefined ? null : sql<Date>`now()`,
    })
    .returning('id')
    .executeTakeFirstOrThrow();
  return { outcome: 'again', imageId: known.id, job: heldJob(upload, known.id, id, false) };
}

async function recordAfterRemoval(transaction: Queryable, upload: NewUpload): Promise<Recorded> {
  const made = await insertImageAndJob(transaction, upload);
  if (!made) throw new Error(`Content ${upload.contentHash} is neither known nor new.`);
  return { outcome: 'new', imageId: made.imageId, job: heldJob(upload, made.imageId, made.jobId, true) };
}

function stateOf({ leaseSeconds }: NewUpload): 'pending' | 'processing' {
  return leaseSeconds === undefined ? 'pending' : 'processing';
}

function firstToken({ leaseSeconds }: NewUpload): number {
  return leaseSeconds === undefined ? 0 : 1;
}

function heldJob(upload: NewUpload, imageId: number, jobId: number, isFirstRun: boolean): ClaimedJob {
  return {
    id: jobId,
    kind: 'derive',
    imageId,
    tenantId: upload.tenantId,
    original: { key: upload.originalKey, contentHash: upload.contentHash },
    sourceUrl: null,
    isFirstRun,
    leaseToken: firstToken(upload),
    priority: upload.priority,
    retries: 0,
    crashes: 0,
    leaseLosses: 0,
  };
}

async function isContentUsed(
  transaction: Queryable,
  tenantId: number,
  contentHash: string,
): Promise<boolean> {
  const row = await transaction
    .selectFrom('images')
    .select('id')
    .where('tenant_id', '=', tenantId)
    .where('content_hash', '=', contentHash)
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}
