import { type RawBuilder, sql } from 'kysely';
import type { Image, ImageRef, ImageWithRenditions, NearDuplicate } from '../../model/image.ts';
import type { FocalPoint } from '../../model/preset.ts';
import type { Principal } from '../../model/principal.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Queryable } from '../database.ts';
import { isVisibleTo } from '../lists.ts';
import type { Schema } from '../schema.ts';

/** A row of `images` with its tenant's name. */
export type ImageRow = Schema['images'] & { readonly tenant: string };

/** An `ImageRow` with the image's renditions and near-duplicates. */
type RowWithRenditions = ImageRow & Pick<ImageWithRenditions, 'renditions' | 'nearDuplicates'>;

/**
 * Selects the images that match `condition` and that the principal may see. `tail` may contain `ORDER BY`, `LIMIT` and
 * locking clauses.
 */
export async function selectImages(
  db: Queryable,
  principal: Pick<Principal, 'tenantId'>,
  condition: RawBuilder<unknown>,
  tail = sql``,
): Promise<Image[]> {
  const { rows } = await sql<ImageRow>`
    SELECT images.*, tenants.name AS tenant FROM images JOIN tenants ON tenants.id = images.tenant_id
    WHERE ${isVisibleTo(principal, 'images.tenant_id')} AND ${condition} ${tail}`.execute(db);
  return rows.map(toImage);
}

/** Works like `selectImages`, but also selects the images' renditions and near-duplicates. */
export async function selectImagesWithRenditions(
  db: Queryable,
  principal: Pick<Principal, 'tenantId'>,
  condition: RawBuilder<unknown>,
  tail = sql``,
): Promise<ImageWithRenditions[]> {
  const { rows } = await sql<RowWithRenditions>`
    SELECT images.*, tenants.name AS tenant, ${renditionsColumn} AS renditions, ${nearDuplicatesColumn} AS "nearDuplicates"
    FROM images JOIN tenants ON tenants.id = images.tenant_id
    WHERE ${isVisibleTo(principal, 'images.tenant_id')} AND ${condition} ${tail}`.execute(db);
  return rows.map((row) => ({
    ...toImage(row),
    renditions: row.renditions,
    nearDuplicates: row.nearDuplicates,
  }));
}

/** Condition on `images` that is true for the image identified by `ref`. */
export function identifiedBy(ref: ImageRef): RawBuilder<boolean> {
  return 'id' in ref ? sql`images.id = ${ref.id}` : sql`images.uuid = ${ref.uuid}`;
}

/** Arguments of `json_build_object` that build a `Rendition` from a row of the `alias` table. */
export function renditionFields(alias: string): RawBuilder<unknown> {
  const fields = Object.entries(renditionColumns).map(([field, column]) => [
    sql.lit(field),
    sql.ref(`${alias}.${column}`),
  ]);
  return sql.join(fields.flat());
}

const renditionColumns: Readonly<Record<keyof Rendition, keyof Schema['renditions']>> = {
  id: 'id',
  preset: 'preset',
  recipe: 'recipe',
  storageKey: 'storage_key',
  contentHash: 'content_hash',
  bytes: 'bytes',
  width: 'width',
  height: 'height',
  quality: 'quality',
  format: 'format',
  density: 'density',
  isListed: 'is_listed',
  isOnRequest: 'is_on_request',
};

/** Column that contains an image's current renditions, smallest first. */
const renditionsColumn = sql<Rendition[]>`coalesce((
    SELECT json_agg(json_build_object(${renditionFields('r')}) ORDER BY r.width, r.preset, r.density, r.format)
    FROM renditions r WHERE r.image_id = images.id AND r.superseded_at IS NULL), '[]'::json)`;

/** SQL expression for the `box` of a pair, as an object. */
export function boxRecord(pair: string): RawBuilder<unknown> {
  const box = sql.ref(`${pair}.box`);
  return sql`CASE WHEN ${box} IS NOT NULL THEN json_build_object('left', (${box})[1], 'top', (${box})[2],
    'width', (${box})[3], 'height', (${box})[4]) END`;
}

/** Columns of `near_duplicates` that describe a pair. */
const pairColumns = sql.raw('shown_tier, verdict, edit, box, distance, difference, reason');

/**
 * Column that contains the images with which an image is shown as a pair, nearest first. Deleted images are left out. Each pair
 * is listed for both images. The other image of a pair is looked up in a subquery. With a join, the planner would scan all
 * images if it overestimated the number of pairs.
 */
const nearDuplicatesColumn = sql<NearDuplicate[]>`coalesce((
    SELECT json_agg(json_build_object('id', pair.other_id, 'uuid', pair.uuid, 'tier', pair.shown_tier,
      'verdict', pair.verdict, 'edit', pair.edit,
      'box', ${boxRecord('pair')}, 'distance', pair.distance, 'difference', pair.difference, 'reason', pair.reason)
      ORDER BY pair.distance, pair.difference, pair.other_id)
    FROM (
      SELECT near_duplicate.*, (SELECT i.uuid FROM images i WHERE i.id = near_duplicate.other_id AND i.deleted_at IS NULL LIMIT 1) AS uuid
      FROM (
        SELECT match_id AS other_id, ${pairColumns} FROM near_duplicates WHERE image_id = images.id
        UNION ALL
        SELECT image_id, ${pairColumns} FROM near_duplicates WHERE match_id = images.id) near_duplicate) pair
    WHERE pair.uuid IS NOT NULL AND pair.shown_tier IS NOT NULL), '[]'::json)`;

/** Returns the focal point in a row of `images`. */
export function toFocalPoint({
  focus_x: x,
  focus_y: y,
}: Pick<ImageRow, 'focus_x' | 'focus_y'>): FocalPoint | null {
  return x === null || y === null ? null : { x, y };
}

export function toImage(row: ImageRow): Image {
  return {
    id: row.id,
    uuid: row.uuid,
    tenantId: row.tenant_id,
    tenant: row.tenant,
    status: row.status,
    error: row.error,
    errorCode: row.error_code,
    url: row.source_url,
    filename: row.original_filename,
    contentHash: row.content_hash,
    originalKey: row.original_key,
    originalBytes: row.original_bytes,
    width: row.width,
    height: row.height,
    format: row.format,
    frames: row.frames,
    colorSpace: row.color_space,
    hasAlpha: row.has_alpha,
    bitDepth: row.bit_depth,
    focalPoint: toFocalPoint(row),
    keptMetadata: row.kept_metadata,
    intakeFacts: row.facts,
    warnings: row.warnings ?? [],
    duplicateOf: row.duplicate_of,
    renditionsReusedFrom: row.renditions_reused_from,
    inUseCount: row.in_use_count,
    damagedAt: row.damaged_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    processedAt: row.processed_at,
    deletedAt: row.deleted_at,
  };
}
