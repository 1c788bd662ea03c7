import { sql } from 'kysely';
import type { Image, ImageRef } from '../../model/image.ts';
import type { Principal } from '../../model/principal.ts';
import { limitsStorage, noQuotas, type Quotas } from '../../model/quota.ts';
import type { Database, Queryable } from '../database.ts';
import { type Actor, insertAudit } from '../audit.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { findExceededQuota, lockQuotas, readStoredAmount } from '../quotas.ts';
import { lockImageAndFiles } from './content-lock.ts';
import { identifiedBy, selectImages } from './image-rows.ts';
import { softDeleteImage, assignOwners } from './removal.ts';

/** Queries that delete and restore images. They change only images that the principal may see. */
export type DeletionQueries = ReturnType<typeof makeDeletionQueries>;

/** Result of a deletion. If the image is in use, the result contains up to 100 of its references. */
export type DeletionResult =
  | { readonly outcome: 'deleted'; readonly image: Image }
  | { readonly outcome: 'in-use'; readonly image: Image; readonly references: readonly string[] }
  | { readonly outcome: 'not-found' };

/** Maximum number of references in the outcome `in-use`. */
const maxListedReferences = 100;

/** @see DeletionQueries */
export function makeDeletionQueries({ sql: db }: Database) {
  return {
    /**
     * Soft-deletes an image: it is hidden immediately, but its files remain until a purge. An image in use is deleted only if
     * `force` is set.
     */
    softDelete: (principal: Principal, ref: ImageRef, force: boolean): Promise<DeletionResult> =>
      retryingTransaction(db, async (transaction) => {
        const image = await lockImage(transaction, principal, ref);
        if (!image || image.deletedAt) return { outcome: 'not-found' };
        if (image.inUseCount > 0 && !force) {
          const references = await listReferences(transaction, image.id);
          return { outcome: 'in-use', image, references };
        }
        await softDeleteImage(transaction, image.id);
        await recordAction(transaction, principal, 'image.delete', image);
        return { outcome: 'deleted', image };
      }),

    /**
     * Restores an image if it is deleted. Returns false if the image does not exist.
     * @param quotas quotas of the image's tenant
     * @throws {AppError} `quota_exceeded` if there is no room for the image.
     */
    restore: (principal: Principal, ref: ImageRef, quotas: Quotas = noQuotas): Promise<boolean> =>
      retryingTransaction(db, async (transaction) => {
        const image = await lockImage(transaction, principal, ref);
        if (!image?.deletedAt) return image !== undefined;
        const assertRoom = await watchUsage(transaction, image.tenantId, quotas);
        // If the same content has since been uploaded again, the restored image becomes a duplicate of the new image.
        await sql`
          UPDATE images SET deleted_at = NULL, purge_renditions = NULL, purge_bytes = NULL, has_relatives = false,
            updated_at = now(), duplicate_of = (
              SELECT first_image.id FROM images first_image
              WHERE first_image.tenant_id = images.tenant_id AND first_image.content_hash = images.content_hash
                AND first_image.deleted_at IS NULL AND first_image.duplicate_of IS NULL AND first_image.id <> images.id)
          WHERE id = ${image.id}`.execute(transaction);
        await assignOwners(transaction, image.id);
        // No other image replaces it any more. The references that this image had have stayed with it.
        await sql`DELETE FROM duplicate_resolutions WHERE image_id = ${image.id}`.execute(transaction);
        await assertRoom();
        await recordAction(transaction, principal, 'image.restore', image);
        return true;
      }),
  };
}

/**
 * Returns a function that throws if the transaction has exceeded a quota since. What an image adds is only known afterwards,
 * because it may share files with other images. Deleted images do not matter: a restoration uses no more of the disk.
 */
async function watchUsage(
  transaction: Queryable,
  tenantId: number,
  quotas: Quotas,
): Promise<() => Promise<void>> {
  if (!limitsStorage(quotas)) return () => Promise.resolve();
  await lockQuotas(transaction, tenantId);
  const before = await readStoredAmount(transaction, tenantId);
  return async () => {
    const after = await readStoredAmount(transaction, tenantId);
    const added = { images: after.images - before.images, bytes: after.bytes - before.bytes };
    const error = findExceededQuota(quotas, { ...before, deletedImages: 0, deletedBytes: 0 }, added);
    if (error) throw error;
  };
}

async function recordAction(
  transaction: Queryable,
  actor: Actor,
  action: 'image.delete' | 'image.restore',
  { id }: Image,
): Promise<void> {
  const from = sql`(SELECT tenant_id, uuid FROM images WHERE id = ${id}) image`;
  const entry = { action, from, tenantId: sql`image.tenant_id`, target: sql`image.uuid::text` };
  await insertAudit(actor, entry).execute(transaction);
}

/** Locks an image and its files, whether or not the image is deleted. Returns the image as it is after locking. */
async function lockImage(
  transaction: Queryable,
  principal: Principal,
  ref: ImageRef,
): Promise<Image | undefined> {
  const [image] = await selectImages(transaction, principal, identifiedBy(ref));
  if (!image) return undefined;
  await lockImageAndFiles(transaction, image.id);
  const [lockedImage] = await selectImages(transaction, principal, identifiedBy(ref));
  return lockedImage;
}

async function listReferences(transaction: Queryable, imageId: number): Promise<string[]> {
  const { rows } = await sql<{ reference: string }>`
    SELECT reference FROM image_references
    WHERE image_id = ${imageId} ORDER BY reference LIMIT ${maxListedReferences}`.execute(transaction);
  return rows.map(({ reference }) => reference);
}
