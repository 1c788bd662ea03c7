import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import type { PictureFacts } from '../../model/picture.ts';
import type { Database } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockContent } from '../images/content-lock.ts';
import { lockHeldJob } from './fence.ts';

/** An import's downloaded original, which is already in storage. */
export interface FetchedContent {
  readonly contentHash: string;
  readonly originalKey: string;
  readonly bytes: number;
  readonly filename: string;
  readonly facts: PictureFacts;
}

/** Creates the query that records an import's downloaded original. The job stays in `processing`. */
export function makeAttachContentQueries({ sql: db }: Database) {
  return {
    /**
     * Records the original of an import. If the tenant already has an image with the same content, the imported image becomes
     * its duplicate. Returns false if the lease was lost.
     */
    attachContent: (job: ClaimedJob, content: FetchedContent): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        await lockContent(transaction, job.tenantId, content.contentHash);
        if (!(await lockHeldJob(transaction, job))) return false;
        const { facts } = content;
        await sql`
          UPDATE images SET content_hash = ${content.contentHash}, original_key = ${content.originalKey},
            original_bytes = ${content.bytes}, original_filename = ${content.filename}, width = ${facts.width},
            height = ${facts.height}, format = ${facts.format}, frames = ${facts.frames},
            color_space = ${facts.colorSpace}, has_alpha = ${facts.hasAlpha}, bit_depth = ${facts.bitDepth},
            updated_at = now(), duplicate_of = (
              SELECT first_image.id FROM images first_image
              WHERE first_image.tenant_id = ${job.tenantId} AND first_image.content_hash = ${content.contentHash}
                AND first_image.deleted_at IS NULL AND first_image.duplicate_of IS NULL AND first_image.id <> images.id)
          WHERE id = ${job.imageId}`.execute(transaction);
        return true;
      }),
  };
}
