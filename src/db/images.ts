import { type SelectQueryBuilder, sql } from 'kysely';
import type { Image, ImageReference, ImageWithRenditions } from '../model/image.ts';
import type { JobState } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { Database } from './database.ts';
import { isReferred, renditionsColumn, selectImages, toImage } from './image-rows.ts';
import type { Schema } from './schema.ts';

/** What a list of images is narrowed to. */
export interface ImageFilter {
  readonly tenant?: string | undefined;
  readonly status?: JobState | undefined;
  readonly createdAfter?: Date | undefined;
  readonly createdBefore?: Date | undefined;
}

/** One page of a list, newest first, and how many there are in all. */
export interface ImagePage {
  readonly items: readonly ImageWithRenditions[];
  readonly total: number;
}

/** An image that a tenant has already, found by its content. */
export interface KnownContent {
  readonly id: number;
  readonly status: JobState;
  readonly damaged: boolean;
}

/** Queries on images. */
export type ImageQueries = ReturnType<typeof makeImageQueries>;

/** Queries on images that are not deleted; each sees only what the principal may see. */
export function makeImageQueries({ sql: db }: Database) {
  const living = (principal: Principal) => selectImages(db, principal).where('images.deleted_at', 'is', null);
  const complete = (principal: Principal) => living(principal).select(renditionsColumn);

  return {
    async find(principal: Principal, reference: ImageReference): Promise<ImageWithRenditions | undefined> {
      const row = await complete(principal).where(isReferred(reference)).executeTakeFirst();
      return row && { ...toImage(row), renditions: row.renditions };
    },

    /** The image without its renditions: one look-up by key, for hot paths. */
    async findBare(principal: Principal, reference: ImageReference): Promise<Image | undefined> {
      const row = await living(principal).where(isReferred(reference)).executeTakeFirst();
      return row && toImage(row);
    },

    /** The one image of a tenant with this content: just what tells whether an upload of it is needed. */
    async findByContent(tenantId: number, contentHash: string): Promise<KnownContent | undefined> {
      const { rows } = await sql<KnownContent>`
        SELECT id, status, damaged_at IS NOT NULL AS damaged FROM images
        WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash} AND deleted_at IS NULL AND duplicate_of IS NULL`.execute(
        db,
      );
      return rows[0];
    },

    async list(
      principal: Principal,
      filter: ImageFilter,
      page: { limit: number; offset: number },
    ): Promise<ImagePage> {
      const items = await narrow(complete(principal), filter)
        .orderBy('images.id', 'desc')
        .limit(page.limit)
        .offset(page.offset)
        .execute();
      const counted = await narrow(living(principal), filter)
        .clearSelect()
        .select(sql<number>`count(*)`.as('total'))
        .executeTakeFirstOrThrow();
      return {
        items: items.map((row) => ({ ...toImage(row), renditions: row.renditions })),
        total: counted.total,
      };
    },

    /** Phase one of deleting: hides the image at once; its files stay until a purge. Answers whether there was one. */
    async markDeleted(principal: Principal, reference: ImageReference): Promise<Image | undefined> {
      const image = await living(principal).where(isReferred(reference)).executeTakeFirst();
      if (!image) return undefined;
      const { numUpdatedRows } = await db
        .updateTable('images')
        .set({ deleted_at: sql`now()`, updated_at: sql`now()` })
        .where('id', '=', image.id)
        .where('deleted_at', 'is', null)
        .executeTakeFirst();
      return numUpdatedRows > 0n ? toImage(image) : undefined;
    },

    async markDamaged(imageId: number): Promise<void> {
      await db
        .updateTable('images')
        .set({ damaged_at: sql`now()`, updated_at: sql`now()` })
        .where('id', '=', imageId)
        .where('damaged_at', 'is', null)
        .execute();
    },

    /** Its original lies in storage again. */
    async clearDamaged(imageId: number): Promise<void> {
      await db.updateTable('images').set({ damaged_at: null }).where('id', '=', imageId).execute();
    },
  };
}

function narrow<O>(query: SelectQueryBuilder<Schema, 'images' | 'tenants', O>, filter: ImageFilter) {
  let narrowed = query;
  if (filter.tenant !== undefined) narrowed = narrowed.where('tenants.name', '=', filter.tenant);
  if (filter.status !== undefined) narrowed = narrowed.where('images.status', '=', filter.status);
  if (filter.createdAfter) narrowed = narrowed.where('images.created_at', '>=', filter.createdAfter);
  if (filter.createdBefore) narrowed = narrowed.where('images.created_at', '<', filter.createdBefore);
  return narrowed;
}
