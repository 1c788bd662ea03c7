import { type RawBuilder, sql } from 'kysely';
import type { Page, PageRequest } from '../../model/page.ts';
import { type Actor, insertAudit } from '../audit.ts';
import type { Database } from '../database.ts';
import { isAfterCursor, limitTo, buildPage } from '../lists.ts';

/**
 * Queries for references. A reference is the client's name for something that uses an image. Each change also updates the
 * image's reference count.
 */
export type ReferenceQueries = ReturnType<typeof makeReferenceQueries>;

/** Whether an image's references changed, and how many references it has now. */
interface ReferenceChange {
  readonly changed: boolean;
  readonly count: number;
}

/** @see ReferenceQueries */
export function makeReferenceQueries({ sql: db }: Database) {
  return {
    /** Adds a reference unless the image already has it. Returns `undefined` if the image is missing or deleted. */
    async add(actor: Actor, imageId: number, reference: string): Promise<ReferenceChange | undefined> {
      const { rows } = await sql<ReferenceChange>`
        WITH locked_image AS (
          SELECT id, tenant_id FROM images WHERE id = ${imageId} AND deleted_at IS NULL FOR UPDATE),
        inserted_reference AS (
          INSERT INTO image_references (image_id, reference) SELECT id, ${reference} FROM locked_image
          ON CONFLICT DO NOTHING RETURNING image_id),
        updated_image AS (
          UPDATE images SET in_use_count = in_use_count + (SELECT count(*) FROM inserted_reference)
          FROM locked_image WHERE images.id = locked_image.id RETURNING images.in_use_count),
        updated_tenant AS (
          UPDATE tenants SET uses_references = true FROM locked_image
          WHERE tenants.id = locked_image.tenant_id AND NOT tenants.uses_references),
        written_entry AS (${auditReference(actor, 'reference.add', reference, sql`inserted_reference`)})
        SELECT EXISTS (SELECT 1 FROM inserted_reference) AS changed, in_use_count AS count FROM updated_image`.execute(
        db,
      );
      return rows[0];
    },

    /** Removes a reference if the image has it. Returns `undefined` if the image is missing or deleted. */
    async remove(actor: Actor, imageId: number, reference: string): Promise<ReferenceChange | undefined> {
      const { rows } = await sql<ReferenceChange>`
        WITH locked_image AS (SELECT id, tenant_id FROM images WHERE id = ${imageId} AND deleted_at IS NULL FOR UPDATE),
        removed_reference AS (
          DELETE FROM image_references USING locked_image
          WHERE image_id = locked_image.id AND reference = ${reference} RETURNING image_id),
        updated_image AS (
          UPDATE images SET in_use_count = in_use_count - (SELECT count(*) FROM removed_reference)
          FROM locked_image WHERE images.id = locked_image.id RETURNING images.in_use_count),
        written_entry AS (${auditReference(actor, 'reference.remove', reference, sql`removed_reference`)})
        SELECT EXISTS (SELECT 1 FROM removed_reference) AS changed, in_use_count AS count FROM updated_image`.execute(
        db,
      );
      return rows[0];
    },

    /** Lists the image's references, newest first. @param total the image's reference count */
    async list(
      imageId: number,
      total: number,
      page: PageRequest,
    ): Promise<Page<{ readonly reference: string; readonly createdAt: Date }>> {
      const { rows } = await sql<{ id: number; reference: string; createdAt: Date }>`
        SELECT id, reference, created_at AS "createdAt" FROM image_references
        WHERE image_id = ${imageId} AND ${isAfterCursor(page, 'id')} ORDER BY id DESC ${limitTo(page)}`.execute(
        db,
      );
      return buildPage(rows, page.limit, total, ({ reference, createdAt }) => ({ reference, createdAt }));
    },
  };
}

/** @param change a CTE with the `image_id` of the changed reference. `locked_image` must be a CTE of the same statement. */
function auditReference(
  actor: Actor,
  action: 'reference.add' | 'reference.remove',
  reference: string,
  change: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return insertAudit(actor, {
    action,
    from: sql`${change} JOIN images ON images.id = image_id`,
    tenantId: sql`images.tenant_id`,
    target: sql`images.uuid::text`,
    details: sql`jsonb_build_object('reference', ${reference}::text)`,
  });
}
