import { sql } from 'kysely';
import type { Queryable } from '../database.ts';

/*
 * Every removal (a deletion, a purge, the withdrawal of an upload) goes through `hideImage`, which transfers what the
 * image shared: its place as the first one with its content, and the files that it owned. The caller has locked the
 * files of the image (`lockFilesOf`): if two images that share files are removed concurrently, the second sees that the
 * first is gone and transfers nothing to it.
 */

/** Removes the rows of an image, hidden before or not. */
export async function removeImage(
  transaction: Queryable,
  { id, isHidden }: { readonly id: number; readonly isHidden: boolean },
): Promise<void> {
  if (!isHidden) await hideImage(transaction, id);
  await sql`DELETE FROM images WHERE id = ${id}`.execute(transaction);
}

/** Hides a living image and transfers what it shares to other images. */
export async function hideImage(transaction: Queryable, imageId: number): Promise<void> {
  // In milliseconds, the precision of clients: pages of deleted images begin after the time of the last one.
  await sql`
    UPDATE images SET deleted_at = date_trunc('milliseconds', now()), updated_at = now() WHERE id = ${imageId}`.execute(
    transaction,
  );
  // Its oldest living copy is now the first image with this content.
  await sql`
    UPDATE images SET duplicate_of = CASE WHEN images.id <> heir.id THEN heir.id END
    FROM (SELECT min(id) AS id FROM images WHERE duplicate_of = ${imageId} AND deleted_at IS NULL) heir
    WHERE images.duplicate_of = ${imageId} AND images.deleted_at IS NULL`.execute(transaction);
  await settleOwners(transaction, imageId);
  await noteWhatPurgeRemoves(transaction, imageId);
}

/** Totals for a dry run of a purge: the image's files, and whether another image affects which of them are freed. */
async function noteWhatPurgeRemoves(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    WITH sharing AS MATERIALIZED (
      SELECT DISTINCT other.image_id AS id FROM renditions mine JOIN renditions other ON other.storage_key = mine.storage_key
      WHERE mine.image_id = ${imageId} AND other.image_id <> ${imageId}),
    told AS (
      UPDATE images SET has_relatives = true
      WHERE id = ANY (ARRAY(SELECT id FROM sharing)) AND deleted_at IS NOT NULL AND NOT has_relatives)
    UPDATE images SET
      purge_renditions = (SELECT count(*) FROM renditions r WHERE r.image_id = images.id),
      purge_bytes = coalesce(original_bytes, 0)
        + (SELECT coalesce(sum(r.bytes), 0) FROM renditions r WHERE r.image_id = images.id),
      has_relatives = EXISTS (SELECT 1 FROM sharing) OR EXISTS (
        SELECT 1 FROM images other WHERE other.tenant_id = images.tenant_id AND other.content_hash = images.content_hash
          AND other.id <> images.id)
    WHERE id = ${imageId}`.execute(transaction);
}

/**
 * Of the living images that share a file with this image, the first becomes its owner, with which its bytes are
 * counted.
 */
export async function settleOwners(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    UPDATE renditions SET shared = ranked.place > 1
    FROM (
      SELECT r.id, row_number() OVER (PARTITION BY r.storage_key ORDER BY r.shared, r.id) AS place
      FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
      WHERE r.storage_key IN (SELECT storage_key FROM renditions WHERE image_id = ${imageId})) ranked
    WHERE renditions.id = ranked.id AND renditions.shared <> (ranked.place > 1)`.execute(transaction);
}
