import { type RawBuilder, sql } from 'kysely';
import type { Image, ImageRef, ImageWithRenditions } from '../../model/image.ts';
import type { BackgroundKind } from '../../model/intake-facts.ts';
import type { IntakeRuleName } from '../../model/intake-rules.ts';
import type { JobState } from '../../model/job.ts';
import type { Page, PageRequest } from '../../model/page.ts';
import type { Principal } from '../../model/principal.ts';
import type { Database, Queryable } from '../database.ts';
import { allOf, isAfterCursor, isVisibleTo, limitTo, buildPage } from '../lists.ts';
import { identifiedBy, selectImagesWithRenditions, selectImages } from './image-rows.ts';

/** Filter for a list of images. All given fields must match. */
export interface ImageFilter {
  readonly tenant?: string | undefined;
  readonly status?: JobState | undefined;
  readonly createdAfter?: Date | undefined;
  readonly createdBefore?: Date | undefined;
  readonly facts?: FactsFilter | undefined;
  /** Images with a warning of this rule. */
  readonly warning?: IntakeRuleName | undefined;
}

/** Filter by facts. Images whose facts are not known, or lack the filtered one, never match. */
export interface FactsFilter {
  readonly background?: BackgroundKind | undefined;
  readonly minSharpness?: number | undefined;
  readonly maxSharpness?: number | undefined;
  readonly minFill?: number | undefined;
  readonly maxFill?: number | undefined;
  readonly upscaled?: boolean | undefined;
  readonly heavilyCompressed?: boolean | undefined;
}

/** A tenant's first image with particular content. Later images with the same content are recorded as its duplicates. */
export interface FirstImage {
  readonly id: number;
  readonly status: JobState;
  readonly damaged: boolean;
}

/**
 * Queries for images. They never return deleted images. Queries with a principal return only images that the principal may
 * see.
 */
export type ImageQueries = ReturnType<typeof makeImageQueries>;

/** @see ImageQueries */
export function makeImageQueries({ sql: db }: Database) {
  return {
    async find(principal: Principal, ref: ImageRef): Promise<ImageWithRenditions | undefined> {
      return (await selectImagesWithRenditions(db, principal, andNotDeleted(identifiedBy(ref))))[0];
    },

    /** Finds an image without its renditions. This is a single key lookup, suitable for hot paths. */
    async findWithoutRenditions(principal: Principal, ref: ImageRef): Promise<Image | undefined> {
      return (await selectImages(db, principal, andNotDeleted(identifiedBy(ref))))[0];
    },

    /** Returns the tenant of an image, whether or not the image is deleted. */
    async findTenantId(ref: ImageRef): Promise<number | undefined> {
      const { rows } = await sql<{ tenantId: number }>`
        SELECT tenant_id AS "tenantId" FROM images WHERE ${identifiedBy(ref)}`.execute(db);
      return rows[0]?.tenantId;
    },

    /** Finds the tenant's first image with this content. The result determines whether the content must be stored. */
    async findByContent(tenantId: number, contentHash: string): Promise<FirstImage | undefined> {
      const { rows } = await sql<FirstImage>`
        SELECT id, status, damaged_at IS NOT NULL AS damaged FROM images
        WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash} AND deleted_at IS NULL AND duplicate_of IS NULL`.execute(
        db,
      );
      return rows[0];
    },

    /** Lists up to 100 of the tenant's images with this content, oldest first. */
    listByContent: (tenantId: number, contentHash: string): Promise<Image[]> =>
      selectImages(
        db,
        { tenantId },
        andNotDeleted(sql`images.content_hash = ${contentHash}`),
        sql`ORDER BY images.id LIMIT 100`,
      ),

    /** Lists images in the order of `ids`. Deleted images are left out. */
    async listByIds(principal: Principal, ids: readonly number[]): Promise<Image[]> {
      if (ids.length === 0) return [];
      const images = await selectImages(db, principal, andNotDeleted(sql`images.id IN (${sql.join(ids)})`));
      const imagesById = new Map(images.map((image) => [image.id, image]));
      return ids.flatMap((id) => imagesById.get(id) ?? []);
    },

    /** Lists images, newest first. */
    async list(
      principal: Principal,
      filter: ImageFilter,
      page: PageRequest,
    ): Promise<Page<ImageWithRenditions>> {
      // The ids are selected first, so that renditions and near-duplicates are read only for the images on this page.
      const isOnPage = sql`images.id IN (
        SELECT images.id FROM images
        WHERE ${isVisibleTo(principal, 'images.tenant_id')} AND ${andNotDeleted(matchesFilter(filter))}
          AND ${isAfterCursor(page, 'images.id')}
        ORDER BY images.id DESC ${limitTo(page)})`;
      const images = await selectImagesWithRenditions(
        db,
        principal,
        andNotDeleted(isOnPage),
        sql`ORDER BY images.id DESC`,
      );
      const total = await countImages(db, principal, filter);
      return buildPage(images, page.limit, total, (image) => image);
    },

    /**
     * Records that a client knows about an unfinished image. If the image's job then fails, the image is kept and marked as
     * failed.
     */
    async acknowledge(imageId: number): Promise<'acknowledged' | 'deleted' | 'missing'> {
      const { rows } = await sql<{ isDeleted: boolean }>`
        UPDATE images SET acknowledged = true WHERE id = ${imageId} RETURNING deleted_at IS NOT NULL AS "isDeleted"`.execute(
        db,
      );
      const row = rows[0];
      if (!row) return 'missing';
      return row.isDeleted ? 'deleted' : 'acknowledged';
    },

    /** Marks an image as damaged, because its original is missing or has changed. */
    async markDamaged(imageId: number): Promise<void> {
      await sql`
        UPDATE images SET damaged_at = now(), updated_at = now() WHERE id = ${imageId} AND damaged_at IS NULL`.execute(
        db,
      );
    },

    /** Clears the damaged mark on an image whose original is intact again. */
    async clearDamaged(imageId: number): Promise<void> {
      await sql`UPDATE images SET damaged_at = NULL, updated_at = now() WHERE id = ${imageId}`.execute(db);
    },
  };
}

function andNotDeleted(condition: RawBuilder<unknown>): RawBuilder<boolean> {
  return sql`images.deleted_at IS NULL AND ${condition}`;
}

/** Condition on `images` that is true for the images that match the filter. */
function matchesFilter(filter: ImageFilter): RawBuilder<boolean> {
  const { tenant, status, createdAfter, createdBefore, facts, warning } = filter;
  return allOf([
    tenant === undefined ? undefined : isTenantNamed(tenant),
    status === undefined ? undefined : sql`images.status = ${status}`,
    createdAfter && sql`images.created_at >= ${createdAfter}`,
    createdBefore && sql`images.created_at < ${createdBefore}`,
    facts && matchesFacts(facts),
    warning && sql`images.warnings @> ${JSON.stringify([{ rule: warning }])}::jsonb`,
  ]);
}

/** Rounds to the precision of `real`. PostgreSQL rejects numbers that are too close to 0 for it. */
function toReal(value: number): number {
  return Math.abs(value) < 1e-30 ? 0 : Math.fround(value);
}

/** The first condition is that of the index on facts. */
function matchesFacts(filter: FactsFilter): RawBuilder<boolean> {
  const { background, minSharpness, maxSharpness, minFill, maxFill, upscaled, heavilyCompressed } = filter;
  return allOf([
    sql`images.facts IS NOT NULL`,
    background && sql`images.background = ${background}`,
    minSharpness === undefined ? undefined : sql`images.sharpness >= ${toReal(minSharpness)}::real`,
    maxSharpness === undefined ? undefined : sql`images.sharpness <= ${toReal(maxSharpness)}::real`,
    minFill === undefined ? undefined : sql`images.fill >= ${toReal(minFill)}::real`,
    maxFill === undefined ? undefined : sql`images.fill <= ${toReal(maxFill)}::real`,
    upscaled === undefined ? undefined : sql`images.is_upscaled = ${upscaled}`,
    heavilyCompressed === undefined ? undefined : sql`images.is_heavily_compressed = ${heavilyCompressed}`,
  ]);
}

/** Compares ids instead of names, so that the planner can estimate the number of images and use the index. */
function isTenantNamed(name: string): RawBuilder<boolean> {
  return sql`images.tenant_id = (SELECT id FROM tenants WHERE name = ${name})`;
}

/**
 * Counts the images that match the filter. Without a time range, the count is computed from the usage counters and the small
 * index of unfinished images, because counting a hundred thousand rows would be the slowest part of a list request.
 */
async function countImages(db: Queryable, principal: Principal, filter: ImageFilter): Promise<number> {
  const { tenant, status, createdAfter, createdBefore, facts, warning } = filter;
  if (createdAfter || createdBefore || facts || warning)
    return countRows(db, principal, matchesFilter(filter));
  const isInTenant = tenant === undefined ? sql<boolean>`true` : isTenantNamed(tenant);
  const isUnfinished = sql<boolean>`status <> 'completed' AND ${isInTenant}`;
  if (status !== undefined && status !== 'completed')
    return countRows(db, principal, sql`${isUnfinished} AND status = ${status}`);
  const total = await countFromUsage(db, principal, tenant);
  return status === undefined ? total : total - (await countRows(db, principal, isUnfinished));
}

async function countRows(
  db: Queryable,
  principal: Principal,
  condition: RawBuilder<boolean>,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT count(*) AS count FROM images
    WHERE deleted_at IS NULL AND ${isVisibleTo(principal, 'tenant_id')} AND ${condition}`.execute(db);
  return rows[0]?.count ?? 0;
}

async function countFromUsage(
  db: Queryable,
  principal: Principal,
  tenant: string | undefined,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`
    SELECT coalesce(sum(count), 0)::bigint AS count FROM usage
    WHERE kind = 'image' AND ${isVisibleTo(principal, 'tenant_id')}
      AND ${tenant === undefined ? sql`true` : sql`tenant_id = (SELECT id FROM tenants WHERE name = ${tenant})`}`.execute(
    db,
  );
  return rows[0]?.count ?? 0;
}
