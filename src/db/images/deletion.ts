import { sql } from 'kysely';
import type { Image, ImageRef } from '../../model/image.ts';
import type { Principal } from '../../model/principal.ts';
import { lockImageAndFiles } from './content-lock.ts';
import type { Database, Queryable } from '../database.ts';
import { isReferred, selectImages, toImage } from './image-rows.ts';
import { hideImage, settleOwners } from './removal.ts';
import { retryingTransaction } from '../engine/retrying.ts';

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
    hide: (principal: Principal, reference: ImageRef, force: boolean): Promise<Deletion> =>
      retryingTransaction(db, async (transaction) => {
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
    restore: (principal: Principal, reference: ImageRef): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
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

/** The image, deleted or not, locked with its files. */
async function lockImage(
  transaction: Queryable,
  principal: Principal,
  reference: ImageRef,
): Promise<Image | undefined> {
  const query = selectImages(transaction, principal).where(isReferred(reference));
  const seen = await query.executeTakeFirst();
  if (!seen) return undefined;
  await lockImageAndFiles(transaction, seen.id);
  const row = await query.executeTakeFirst();
  return row && toImage(row);
}

async function listReferences(transaction: Queryable, imageId: number): Promise<string[]> {
  const { rows } = await sql<{ reference: string }>`
    SELECT reference FROM image_references WHERE image_id = ${imageId} ORDER BY reference LIMIT ${namedReferences}`.execute(
    transaction,
  );
  return rows.map(({ reference }) => reference);
}
