import { sql } from 'kysely';
import type { Image, ImageReference } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import { lockContent } from './content-lock.ts';
import type { Database, Queryable } from './database.ts';
import { isReferred, selectImages, toImage } from './image-rows.ts';

/** Queries that hide images and bring them back. */
export type DeletionQueries = ReturnType<typeof makeDeletionQueries>;

/** What became of a deletion: `in-use` names who uses the image. */
export type Deletion =
  | { readonly outcome: 'deleted'; readonly image: Image }
  | { readonly outcome: 'in-use'; readonly image: Image; readonly references: readonly string[] }
  | { readonly outcome: 'not-found' };

/** References that an answer names. */
const namedReferences = 100;

/** Queries that hide images and bring them back; each sees only what the principal may see. */
export function makeDeletionQueries({ sql: db }: Database) {
  return {
    /**
     * Phase one of deleting: hides the image at once; its files stay until a purge. An image in use is hidden only when
     * `force` is set.
     */
    hide: (principal: Principal, reference: ImageReference, force: boolean): Promise<Deletion> =>
      db.transaction().execute(async (transaction) => {
        const image = await lockImage(transaction, principal, reference);
        if (!image || image.deletedAt) return { outcome: 'not-found' };
        if (image.inUseCount > 0 && !force) {
          const references = await listReferences(transaction, image.id);
          return { outcome: 'in-use', image, references };
        }
        await hideImage(transaction, image.id);
        return { outcome: 'deleted', image };
      }),

    /** Brings a deleted image back. False when there is none (any more); one that lives stays as it is. */
    restore: (principal: Principal, reference: ImageReference): Promise<boolean> =>
      db.transaction().execute(async (transaction) => {
        const image = await lockImage(transaction, principal, reference);
        if (!image?.deletedAt) return image !== undefined;
        // The same content may have been uploaded meanwhile: there is one first image for each content.
        await sql`
          UPDATE images SET deleted_at = NULL, purge_renditions = NULL, purge_bytes = NULL, has_relatives = false,
            updated_at = now(), duplicate_of = (
            SELECT first.id FROM images first WHERE first.tenant_id = images.tenant_id
              AND first.content_hash = images.content_hash AND first.deleted_at IS NULL AND first.duplicate_of IS NULL
              AND first.id <> images.id)
          WHERE id = ${image.id}`.execute(transaction);
        await settleOwners(transaction, image.id);
        return true;
      }),
  };
}

type LockedImage = Image & { readonly deletedAt: Date | null };

/** The image, deleted or not, with its content locked before its row: everybody takes the two in this order. */
async function lockImage(
  transaction: Queryable,
  principal: Principal,
  reference: ImageReference,
): Promise<LockedImage | undefined> {
  const query = selectImages(transaction, principal).where(isReferred(reference));
  const seen = await query.executeTakeFirst();
  if (seen?.content_hash) await lockContent(transaction, seen.tenant_id, seen.content_hash);
  const row = seen && (await query.forUpdate('images').executeTakeFirst());
  return row && { ...toImage(row), deletedAt: row.deleted_at };
}

async function listReferences(transaction: Queryable, imageId: number): Promise<string[]> {
  const { rows } = await sql<{ reference: string }>`
    SELECT reference FROM image_references WHERE image_id = ${imageId} ORDER BY reference LIMIT ${namedReferences}`.execute(
    transaction,
  );
  return rows.map(({ reference }) => reference);
}

/** Hides a living image; what it shares with others becomes theirs. */
export async function hideImage(transaction: Queryable, imageId: number): Promise<void> {
  // In milliseconds, as programs hold times: pages of deleted images begin after the time of the last one.
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

/** What a dry run of a purge adds up: the image's files, and whether another image has a say in what is freed. */
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

/** Of the living images that show a file which this image shows too, the first one owns it: its bytes count there. */
export async function settleOwners(transaction: Queryable, imageId: number): Promise<void> {
  await sql`
    UPDATE renditions SET shared = ranked.place > 1
    FROM (
      SELECT r.id, row_number() OVER (PARTITION BY r.storage_key ORDER BY r.shared, r.id) AS place
      FROM renditions r JOIN images i ON i.id = r.image_id AND i.deleted_at IS NULL
      WHERE r.storage_key IN (SELECT storage_key FROM renditions WHERE image_id = ${imageId})) ranked
    WHERE renditions.id = ranked.id AND renditions.shared <> (ranked.place > 1)`.execute(transaction);
}
