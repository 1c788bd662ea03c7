import { sql } from 'kysely';
import type { ClaimedJob } from '../../model/job.ts';
import { systemPrincipal } from '../../model/principal.ts';
import { insertAudit } from '../audit.ts';
import type { Database, Queryable } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { lockImageFiles } from '../images/content-lock.ts';
import { removeImage } from '../images/removal.ts';
import { lockHeldJob } from './fence.ts';

/** Creates the query with which a worker removes a processing job and its image. */
export function makeWithdrawQueries({ sql: db }: Database) {
  return {
    /**
     * Removes the job and the image of an upload that cannot be decoded while its client is still waiting. Also removes the
     * original, unless another image has the same content. Returns false and changes nothing if the lease was lost, or if
     * another client may know about the image. This is the case if the image was included in a response (`acknowledge`),
     * has a reference, or was deleted.
     */
    withdraw: (
      job: ClaimedJob,
      original: { readonly contentHash: string; readonly removeOriginal: () => Promise<void> },
    ): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        const { tenantId, imageId } = job;
        const { contentHash, removeOriginal } = original;
        await lockImageFiles(transaction, [imageId], [{ tenantId, contentHash }]);
        if (!(await lockHeldJob(transaction, job))) return false;
        if (!(await lockImageUnknownToOthers(transaction, imageId))) return false;
        await sql`DELETE FROM jobs WHERE id = ${job.id}`.execute(transaction);
        await insertAudit(systemPrincipal, {
          action: 'image.purge',
          from: sql`(SELECT uuid FROM images WHERE id = ${imageId}) image`,
          tenantId: sql`${tenantId}::int`,
          target: sql`image.uuid::text`,
          details: sql`'{"reason": "not decodable"}'::jsonb`,
        }).execute(transaction);
        await removeImage(transaction, { id: imageId, isDeleted: false });
        const imagesWithContent = await sql`
          SELECT id FROM images WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash} LIMIT 1`.execute(
          transaction,
        );
        if (imagesWithContent.rows.length === 0) await removeOriginal();
        return true;
      }),
  };
}

/** Locks the image. Returns false if other clients may know about the image. */
async function lockImageUnknownToOthers(transaction: Queryable, imageId: number): Promise<boolean> {
  const { rows } = await sql`
    SELECT 1 FROM images WHERE id = ${imageId} AND deleted_at IS NULL AND NOT acknowledged AND in_use_count = 0
    FOR UPDATE`.execute(transaction);
  return rows.length > 0;
}
