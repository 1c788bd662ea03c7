import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { Quotas } from '../../model/quota.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockContent } from '../images/content-lock.ts';
import { claimRoom } from '../quotas.ts';
import { lockHeldJob } from './fence.ts';

/** An import's downloaded original, which is already in storage. */
export interface FetchedContent {
  readonly contentHash: string;
  readonly originalKey: string;
  readonly bytes: number;
  readonly filename: string;
  readonly facts: PictureFacts;
  /** Quotas of the tenant; by default, none. The image itself was counted when the import was requested. */
  readonly quotas?: Quotas | undefined;
}

/** Creates the query that records an import's downloaded original. The job stays in `processing`. */
export function makeAttachContentQueries({ sql: db }: Database) {
  return {
    /**
     * Records the original of an import. If the tenant already has an image with the same content, the imported image becomes
     * its duplicate. Returns false if the lease was lost.
     * @throws {AppError} `quota_exceeded` if there is no room for the original.
     */
    attachContent: (job: ClaimedJob, content: FetchedContent): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        await lockContent(transaction, job.tenantId, content.contentHash);
        if (!(await lockHeldJob(transaction, job))) return false;
        const firstImageId = await findFirstImage(transaction, job, content);
        if (content.quotas?.bytes != null && firstImageId === null)
          await claimRoom(transaction, job.tenantId, content.quotas, { bytes: content.bytes });
        const { facts } = content;
        await sql`
          UPDATE images SET content_hash = ${content.contentHash}, original_key = ${content.originalKey},
            original_bytes = ${content.bytes}, original_filename = ${content.filename}, width = ${facts.width},
            height = ${facts.height}, format = ${facts.format}, frames = ${facts.frames},
            color_space = ${facts.colorSpace}, has_alpha = ${facts.hasAlpha}, bit_depth = ${facts.bitDepth},
            updated_at = now(), duplicate_of = ${firstImageId}::bigint
          WHERE id = ${job.imageId}`.execute(transaction);
        return true;
      }),
  };
}

/** Returns the id of the tenant's first image with this content, other than the job's image. The content must be locked. */
async function findFirstImage(
  transaction: Queryable,
  { tenantId, imageId }: ClaimedJob,
  { contentHash }: FetchedContent,
): Promise<number | null> {
  const { rows } = await sql<{ id: number }>`
    SELECT id FROM images WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash}
      AND deleted_at IS NULL AND duplicate_of IS NULL AND id <> ${imageId}`.execute(transaction);
  return rows[0]?.id ?? null;
}
