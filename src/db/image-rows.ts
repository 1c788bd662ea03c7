import { type ExpressionBuilder, type Selectable, sql } from 'kysely';
import { jsonArrayFrom } from 'kysely/helpers/postgres';
import type { Image, ImageReference } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import type { Queryable } from './database.ts';
import type { Schema } from './schema.ts';

/** A row of `images` with the name of its tenant. */
export type ImageRow = Selectable<Schema['images']> & { tenant: string };

/** Images with the names of their tenants, those only that the principal may see. */
export function selectImages(db: Queryable, principal: Principal) {
  const query = db
    .selectFrom('images')
    .innerJoin('tenants', 'tenants.id', 'images.tenant_id')
    .selectAll('images')
    .select('tenants.name as tenant');
  return principal.tenantId === null ? query : query.where('images.tenant_id', '=', principal.tenantId);
}

/** The renditions of an image as one JSON column, in the order of their boxes. */
export function renditionsColumn(builder: ExpressionBuilder<Schema, 'images'>) {
  return jsonArrayFrom(
    builder
      .selectFrom('renditions')
      .select([
        'renditions.id',
        'renditions.preset',
        'renditions.recipe',
        'renditions.storage_key as storageKey',
        'renditions.content_hash as contentHash',
        'renditions.bytes',
        'renditions.width',
        'renditions.height',
        'renditions.quality',
        'renditions.format',
      ])
      .whereRef('renditions.image_id', '=', 'images.id')
      .orderBy('renditions.width')
      .orderBy('renditions.preset'),
  ).as('renditions');
}

/** Condition that names one image. */
export function isReferred(reference: ImageReference) {
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
    damagedAt: row.damaged_at,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
    processedAt: row.processed_at,
  };
}
