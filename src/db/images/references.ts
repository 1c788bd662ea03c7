import { sql } from 'kysely';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Database } from '../database.ts';
import { pageOf } from '../lists.ts';

/** Queries on references. */
export type ReferenceQueries = ReturnType<typeof makeReferenceQueries>;

/** A change of an image's references. */
interface Change {
  readonly changed: boolean;
  /** References of the image now. */
  readonly count: number;
}

/** Queries on references: who uses an image. The image's counter changes with them, in the same statement. */
export function makeReferenceQueries({ sql: db }: Database) {
  return {
    /** Adds a reference; one that is there stays. `undefined` when the image is gone. */
    async add(imageId: number, reference: string): Promise<Change | undefined> {
      const { rows } = await sql<Change>`
        WITH living AS (SELECT id, tenant_id FROM images WHERE id = ${imageId} AND deleted_at IS NULL FOR UPDATE),
        added AS (
          INSERT INTO image_references (image_id, reference) SELECT id, ${reference} FROM living
          ON CONFLICT DO NOTHING RETURNING image_id),
        counted AS (
          UPDATE images SET in_use_count = in_use_count + (SELECT count(*) FROM added)
          FROM living WHERE images.id = living.id RETURNING images.in_use_count),
        noted AS (
          UPDATE tenants SET uses_references = true FROM living
          WHERE tenants.id = living.tenant_id AND NOT tenants.uses_references)
        SELECT EXISTS (SELECT 1 FROM added) AS changed, in_use_count AS count FROM counted`.execute(db);
      return rows[0];
    },

    /** Removes a reference; one that is not there is fine. `undefined` when the image is gone. */
    async remove(imageId: number, reference: string): Promise<Change | undefined> {
      const { rows } = await sql<Change>`
        WITH living AS (SELECT id FROM images WHERE id = ${imageId} AND deleted_at IS NULL FOR UPDATE),
        removed AS (
          DELETE FROM image_references USING living
          WHERE image_id = living.id AND reference = ${reference} RETURNING image_id),
        counted AS (
          UPDATE images SET in_use_count = in_use_count - (SELECT count(*) FROM removed)
          FROM living WHERE images.id = living.id RETURNING images.in_use_count)
        SELECT EXISTS (SELECT 1 FROM removed) AS changed, in_use_count AS count FROM counted`.execute(db);
      return rows[0];
    },

    /** Newest first. `total` is the image's counter. */
    async list(
      imageId: number,
      total: number,
      page: PageRequest,
    ): Promise<Page<{ readonly reference: string; readonly createdAt: Date }>> {
      const { after, limit, offset } = page;
      const { rows } = await sql<{ id: number; reference: string; createdAt: Date }>`
        SELECT id, reference, created_at AS "createdAt" FROM image_references
        WHERE image_id = ${imageId} AND ${after === undefined ? sql`true` : sql`id < ${after}`}
        ORDER BY id DESC LIMIT ${limit + 1} OFFSET ${after === undefined ? offset : 0}`.execute(db);
      return pageOf(rows, limit, total, ({ reference, createdAt }) => ({ reference, createdAt }));
    },
  };
}
