import { type Selectable, sql } from 'kysely';
import type { Image, ImageRef, ImageWithRenditions, NearDuplicate } from '../../model/image.ts';
import type { Principal } from '../../model/principal.ts';
import type { Rendition } from '../../model/rendition.ts';
import type { Queryable } from '../database.ts';
import type { Schema } from '../schema.ts';

/** A row of `images` with the name of its tenant. */
export type ImageRow = Selectable<Schema['images']> & { tenant: string };

/** Images with the names of their tenants, those only that the principal may see. */
export function selectImages(db: Queryable, principal: Pick<Principal, 'tenantId'>) {
  const query = db
    .selectFrom('images')
    .innerJoin('tenants', 'tenants.id', 'images.tenant_id')
    .selectAll('images')
    .select('tenants.name as tenant');
  return principal.tenantId === null ? query : query.where('images.tenant_id', '=', principal.tenantId);
}

/** What `json_build_object` makes a rendition of, from a row of the table that `alias` names. */
export function renditionFields(alias: string) {
  const columns = Object.entries(renditionColumns).map(([field, column]) => [
    sql.lit(field),
    sql.ref(`${alias}.${column}`),
  ]);
  return sql.join(columns.flat());
}

const renditionColumns: Readonly<Record<keyof Rendition, string>> = {
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
};

/** The renditions of an image as one JSON column, in the order of their boxes. */
export function renditionsColumn() {
  return sql<Rendition[]>`coalesce((
    SELECT json_agg(json_build_object(${renditionFields('r')}) ORDER BY r.width, r.preset)
    FROM renditions r WHERE r.image_id = images.id), '[]'::json)`.as('renditions');
}

/**
 * The living near-duplicates of an image as one JSON column, nearest first: a pair counts for both of its images. The
 * other image is looked up pair by pair: in a join, a planner that does not know how few pairs there are reads all images.
 */
export function nearDuplicatesColumn() {
  return sql<NearDuplicate[]>`coalesce((
    SELECT json_agg(json_build_object('id', pair.other_id, 'uuid', pair.uuid, 'distance', pair.distance,
      'difference', pair.difference, 'reason', pair.reason) ORDER BY pair.distance, pair.difference, pair.other_id)
    FROM (
      SELECT n.*, (SELECT other.uuid FROM images other WHERE other.id = n.other_id AND other.deleted_at IS NULL LIMIT 1) AS uuid
      FROM (
        SELECT match_id AS other_id, distance, difference, reason FROM near_duplicates WHERE image_id = images.id
        UNION ALL
        SELECT image_id, distance, difference, reason FROM near_duplicates WHERE match_id = images.id) n) pair
    WHERE pair.uuid IS NOT NULL), '[]'::json)`.as('nearDuplicates');
}

/** Condition that names one image. */
export function isReferred(reference: ImageRef) {
  return 'id' in reference
    ? sql<boolean>`images.id = ${reference.id}`
    : sql<boolean>`images.uuid = ${reference.uuid}`;
}

/** The image that a row stands for. */
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

/** The complete image that a row stands for. */
export function toCompleteImage(
  row: ImageRow & { renditions: Rendition[]; nearDuplicates: NearDuplicate[] },
): ImageWithRenditions {
  return { ...toImage(row), renditions: row.renditions, nearDuplicates: row.nearDuplicates };
}
