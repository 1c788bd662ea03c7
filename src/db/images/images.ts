import { type SelectQueryBuilder, sql } from 'kysely';
import type { Image, ImageRef, ImageWithRenditions } from '../../model/image.ts';
import type { JobState } from '../../model/job.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database } from '../database.ts';
import {
  isReferred,
  nearDuplicatesColumn,
  renditionsColumn,
  selectImages,
  toCompleteImage,
  toImage,
} from './image-rows.ts';
import { countImages } from './image-counts.ts';
import { pageOf } from '../lists.ts';
import type { Schema } from '../schema.ts';

/** What a list of images is narrowed to. */
export interface ImageFilter {
  readonly tenant?: string | undefined;
  readonly status?: JobState | undefined;
  readonly createdAfter?: Date | undefined;
  readonly createdBefore?: Date | undefined;
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
  const complete = (principal: Principal) =>
    living(principal).select([renditionsColumn(), nearDuplicatesColumn()]);

  return {
    async find(principal: Principal, reference: ImageRef): Promise<ImageWithRenditions | undefined> {
      const row = await complete(principal).where(isReferred(reference)).executeTakeFirst();
      return row && toCompleteImage(row);
    },

    /** The image without its renditions: one look-up by key, for hot paths. */
    async findBare(principal: Principal, reference: ImageRef): Promise<Image | undefined> {
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

    /** All living images of a tenant with this content, oldest first. */
    async listByContent(tenantId: number, contentHash: string): Promise<Image[]> {
      const rows = await selectImages(db, { tenantId })
        .where('images.deleted_at', 'is', null)
        .where('images.content_hash', '=', contentHash)
        .orderBy('images.id')
        .limit(100)
        .execute();
      return rows.map(toImage);
    },

    /** Images by their numbers, in that order; deleted ones are missing. */
    async listByIds(principal: Principal, ids: readonly number[]): Promise<Image[]> {
      if (ids.length === 0) return [];
      const rows = await living(principal).where('images.id', 'in', ids).execute();
      const byId = new Map(rows.map((row) => [row.id, toImage(row)]));
      return ids.flatMap((id) => byId.get(id) ?? []);
    },

    /** Newest first. */
    async list(
      principal: Principal,
      filter: ImageFilter,
      page: PageRequest,
    ): Promise<Page<ImageWithRenditions>> {
      const { after } = page;
      // Their numbers first: what a record holds beside its row is read for the rows of this page only.
      const wanted = narrow(living(principal), filter)
        .$if(after !== undefined, (query) => query.where('images.id', '<', after ?? 0))
        .clearSelect()
        .select('images.id')
        .orderBy('images.id', 'desc')
        .limit(page.limit + 1)
        .offset(after === undefined ? page.offset : 0);
      const rows = await complete(principal)
        .where('images.id', 'in', wanted)
        .orderBy('images.id', 'desc')
        .execute();
      const total = await countImages(db, principal, filter);
      return pageOf(rows, page.limit, total, toCompleteImage);
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
      await db
        .updateTable('images')
        .set({ damaged_at: null, updated_at: sql`now()` })
        .where('id', '=', imageId)
        .execute();
    },
  };
}

function narrow<O>(query: SelectQueryBuilder<Schema, 'images' | 'tenants', O>, filter: ImageFilter) {
  let narrowed = query;
  // By the tenant's number, so that the planner sees how many rows it has and walks its index.
  if (filter.tenant !== undefined)
    narrowed = narrowed.where(
      'images.tenant_id',
      '=',
      sql<number>`(SELECT id FROM tenants WHERE name = ${filter.tenant})`,
    );
  if (filter.status !== undefined) narrowed = narrowed.where('images.status', '=', filter.status);
  if (filter.createdAfter) narrowed = narrowed.where('images.created_at', '>=', filter.createdAfter);
  if (filter.createdBefore) narrowed = narrowed.where('images.created_at', '<', filter.createdBefore);
  return narrowed;
}
