import { sql } from 'kysely';
import type { Queryable } from '../database.ts';

/*
 * Deletions, purges and removals after failed uploads all soft-delete the image first. If other images have the same
 * content, `softDeleteImage` makes one of them the first image with this content. It also transfers the ownership of files
 * that other images share. The caller must have locked the image's files (`lockImageFiles`). Otherwise, two images that
 * share files could transfer ownership to each other while both are being removed.
 */

/** Removes an image's rows. Soft-deletes the image first unless `isDeleted` is set. */
export async function removeImage(
  transaction: Queryable,
  { id, isDeleted }: { readonly id: number; readonly isDeleted: boolean },
): Promise<void> {
  if (!isDeleted) await softDeleteImage(transaction, id);
  await sql`DELETE FROM images WHERE id = ${id}`.execute(transaction);
}

/** Soft-deletes an image and transfers the ownership of shared files. */
export async function softDeleteImage(transaction: Queryable, imageId: number): Promise<void> {
  // The time is truncated to milliseconds, because the cursor for listing deleted images has this precision.
  await sql`
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()), updated_at = now() WHERE id = ${imageId}`.execute(
    transaction,
  );
  // The oldest duplicate becomes the first image with this content.
  await sql`
    UPDATE images SET duplicate_of = CASE WHEN images.id <> oldest_duplicate.id THEN oldest_duplicate.id END
    FROM (SELECT min(id) AS id FROM images WHERE duplicate_of = ${imageId} AND deleted_at IS NULL) oldest_duplicate
    WHERE images.duplicate_of = ${imageId} AND images.deleted_at IS NULL`.execute(transaction);
  await assignOwners(transaction, imageId);
  await recordPurgeTotals(transaction, imageId);
}

/** Records what a purge of the image would remove, and whether other images share its content or files. */
async function recordPurgeTotals(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    WITH images_sharing_files AS MATERIALIZED (
      SELECT DISTINCT sharing_rendition.image_id AS id FROM renditions r
      JOIN renditions sharing_rendition ON sharing_rendition.storage_key = r.storage_key
      WHERE r.image_id = ${imageId} AND sharing_rendition.image_id <> ${imageId}),
    updated_images AS (
      UPDATE images SET has_relatives = true
      WHERE id = ANY (ARRAY(SELECT id FROM images_sharing_files)) AND deleted_at IS NOT NULL AND NOT has_relatives)
    UPDATE images SET
      purge_renditions = (SELECT count(*) FROM renditions r WHERE r.image_id = images.id),
      purge_bytes = coalesce(original_bytes, 0)
        + (SELECT coalesce(sum(r.bytes), 0) FROM renditions r WHERE r.image_id = images.id),
      has_relatives = EXISTS (SELECT 1 FROM images_sharing_files) OR EXISTS (
        SELECT 1 FROM images i WHERE i.tenant_id = images.tenant_id AND i.content_hash = images.content_hash
          AND i.id <> images.id)
    WHERE id = ${imageId}`.execute(transaction);
}

/**
 * Ensures that each of the image's files has exactly one owner, chosen from the images that use the file and are not deleted.
 * The current owner is kept if possible. Otherwise, the oldest of these images becomes the owner. A file's bytes are counted
 * only for its owner.
 */
export async function assignOwners(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    UPDATE renditions SET shared = ranked_renditions.rank > 1
    FROM (
      SELECT r.id, row_number() OVER (PARTITION BY r.storage_key ORDER BY r.shared, r.id) AS rank
      FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
      WHERE r.storage_key IN (SELECT storage_key FROM renditions WHERE image_id = ${imageId})) ranked_renditions
    WHERE renditions.id = ranked_renditions.id AND renditions.shared <> (ranked_renditions.rank > 1)`.execute(
    transaction,
  );
}
