import { sql } from 'kysely';
import type { Image, ImageRef } from '../../model/image.ts';
import type { FocalPoint } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import { insertAudit } from '../audit.ts';
import type { Database } from '../database.ts';
import { retryingTransaction } from '../engine/retrying.ts';
import { identifiedBy, selectImages } from './image-rows.ts';

/** Queries that change the focal point of an image. */
export type FocalPointQueries = ReturnType<typeof makeFocalPointQueries>;

/** @see FocalPointQueries */
export function makeFocalPointQueries({ sql: db }: Database) {
  return {
    /**
     * Sets the focal point of an image that the principal may see, or removes it (`null`). Returns the image, or `undefined` if
     * it is missing or deleted. A change is recorded in the audit log.
     */
    set: (principal: Principal, ref: ImageRef, point: FocalPoint | null): Promise<Image | undefined> =>
      retryingTransaction(db, async (transaction) => {
        const condition = sql`images.deleted_at IS NULL AND ${identifiedBy(ref)}`;
        const [image] = await selectImages(transaction, principal, condition, sql`FOR UPDATE OF images`);
        if (!image) return undefined;
        const { focalPoint } = image;
        if (focalPoint?.x === point?.x && focalPoint?.y === point?.y) return image;
        await sql`
          UPDATE images SET focus_x = ${point?.x ?? null}::real, focus_y = ${point?.y ?? null}::real, updated_at = now()
          WHERE id = ${image.id}`.execute(transaction);
        await insertAudit(principal, {
          action: 'image.focus',
          from: sql`(SELECT tenant_id, uuid FROM images WHERE id = ${image.id}) image`,
          tenantId: sql`image.tenant_id`,
          target: sql`image.uuid::text`,
          details: sql`${JSON.stringify({ focus: point })}::jsonb`,
        }).execute(transaction);
        return { ...image, focalPoint: point };
      }),
  };
}
