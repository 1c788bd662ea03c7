import { sql } from 'kysely';
import { v7 as uuidv7 } from 'uuid';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureFacts } from '../model/picture.ts';
import { lockContent } from './content-lock.ts';
import type { Database, Queryable } from './database.ts';
import { claimedColumns, toClaimedJob } from './job-rows.ts';

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
  /** Asked inside the transaction: does the original still lie in storage? */
  readonly originalIsThere: () => Promise<boolean>;
}

/** What became of an upload: a new row, a failed one tried again, or one that somebody else recorded first. */
export type Recorded =
  | { readonly outcome: 'new' | 'again'; readonly imageId: number; readonly job: ClaimedJob }
  | { readonly outcome: 'known'; readonly imageId: number }
  | { readonly outcome: 'original-removed' };

/** Recording of uploads. */
export type IntakeQueries = ReturnType<typeof makeIntakeQueries>;

/** Recording of uploads: an image and its job come into being in one transaction. */
export function makeIntakeQueries({ sql: db }: Database) {
  return {
    record: (upload: NewUpload): Promise<Recorded> =>
      db.transaction().execute(async (transaction) => {
        await lockContent(transaction, upload.tenantId, upload.contentHash);
        if (!(await upload.originalIsThere())) return { outcome: 'original-removed' };
        const imageId = await insertImage(transaction, upload);
        if (imageId !== undefined) {
          return { outcome: 'new', imageId, job: await insertJob(transaction, imageId, upload) };
        }
        return recordKnown(transaction, upload);
      }),

    /**
     * Takes an inline upload back that turned out to be no usable picture: the image goes, and its original unless
     * another row has the same content. Does nothing when the lease was lost meanwhile.
     */
    withdraw: (
      job: ClaimedJob,
      content: { contentHash: string; keepJob: boolean; removeOriginal: () => Promise<void> },
    ): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        await lockContent(transaction, job.tenantId, content.contentHash);
        const held = await sql`SELECT 1 FROM jobs WHERE id = ${job.id} AND lease_token = ${job.leaseToken}
          AND state = 'processing' FOR UPDATE`.execute(transaction);
        if (held.rows.length === 0) return false;
        if (!content.keepJob) await transaction.deleteFrom('jobs').where('id', '=', job.id).execute();
        await transaction.deleteFrom('images').where('id', '=', job.imageId).execute();
        if (!(await isContentUsed(transaction, job.tenantId, content.contentHash)))
          await content.removeOriginal();
        return true;
      }),
  };
}

async function insertImage(transaction: Queryable, upload: NewUpload): Promise<number | undefined> {
  const { facts } = upload;
  const row = await transaction
    .insertInto('images')
    .values({
      uuid: uuidv7(),
      tenant_id: upload.tenantId,
      status: upload.leaseSeconds === undefined ? 'pending' : 'processing',
      original_filename: upload.filename,
      content_hash: upload.contentHash,
      original_key: upload.originalKey,
      original_bytes: upload.bytes,
      width: facts.width,
      height: facts.height,
      format: facts.format,
      frames: facts.frames,
      color_space: facts.colorSpace,
      has_alpha: facts.hasAlpha,
      bit_depth: facts.bitDepth,
    })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  return row?.id;
}

/** A failed image gets a new run with the bytes that arrived again; any other stays as it is. */
async function recordKnown(transaction: Queryable, upload: NewUpload): Promise<Recorded> {
  const known = await transaction
    .selectFrom('images')
    .select(['id', 'status'])
    .where('tenant_id', '=', upload.tenantId)
    .where('content_hash', '=', upload.contentHash)
    .where('deleted_at', 'is', null)
    .where('duplicate_of', 'is', null)
    .forUpdate()
    .executeTakeFirstOrThrow();
  if (known.status !== 'failed') return { outcome: 'known', imageId: known.id };
  await transaction
    .updateTable('images')
    .set({
      status: upload.leaseSeconds === undefined ? 'pending' : 'processing',
      error: null,
      error_code: null,
      updated_at: sql`now()`,
    })
    .where('id', '=', known.id)
    .execute();
  return { outcome: 'again', imageId: known.id, job: await insertJob(transaction, known.id, upload) };
}

async function insertJob(transaction: Queryable, imageId: number, upload: NewUpload): Promise<ClaimedJob> {
  const { leaseSeconds } = upload;
  const claimed = leaseSeconds !== undefined;
  const row = await transaction
    .insertInto('jobs')
    .values({
      kind: 'derive',
      image_id: imageId,
      tenant_id: upload.tenantId,
      content_hash: upload.contentHash,
      priority: upload.priority,
      state: claimed ? 'processing' : 'pending',
      lease_token: claimed ? 1 : 0,
      lease_until: claimed ? sql<Date>`now() + make_interval(secs => ${leaseSeconds})` : null,
    })
    .returning(claimedColumns)
    .executeTakeFirstOrThrow();
  return toClaimedJob(row);
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
