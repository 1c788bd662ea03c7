import { sql } from 'kysely';
import type { Queryable } from '../database.ts';
import { isVisibleTo } from '../lists.ts';

/** What a purge of deleted images would remove. */
export interface DeletedImagesSummary {
  readonly cutoff: Date;
  readonly images: number;
  /** Number of renditions created before the cutoff. Includes the renditions of images that are not deleted. */
  readonly renditionsFound: number;
  readonly renditionsToDelete: number;
  readonly bytes: number;
}

/**
 * Adds up the totals that were recorded when each image was deleted. For images with relatives (other images with the same
 * content or files), the freed bytes are computed from the rows instead.
 */
export async function summarizeDeletedImages(
  db: Queryable,
  tenantId: number | null,
  days: number,
): Promise<DeletedImagesSummary> {
  const { rows } = await sql<Omit<DeletedImagesSummary, 'renditionsFound'>>`
    WITH purge_cutoff AS MATERIALIZED (SELECT now() - make_interval(days => ${days}::int) AS cutoff)
    SELECT purge_cutoff.cutoff, count(i.id) AS images, coalesce(sum(i.purge_renditions), 0) AS "renditionsToDelete",
      coalesce(sum(i.purge_bytes) FILTER (WHERE NOT i.has_relatives), 0)::bigint AS bytes
    FROM purge_cutoff LEFT JOIN images i ON i.deleted_at IS NOT NULL AND i.deleted_at <= purge_cutoff.cutoff
      AND ${isVisibleTo({ tenantId }, 'i.tenant_id')}
    GROUP BY purge_cutoff.cutoff`.execute(db);
  const [summary] = rows;
  if (!summary) throw new Error('The purge summary query returned no row.');
  const { cutoff } = summary;
  return {
    ...summary,
    bytes: summary.bytes + (await countFreedBytes(db, tenantId, cutoff)),
    renditionsFound: await countOlderRenditions(db, tenantId, cutoff),
  };
}

/** Counts the bytes freed by purging images with relatives. A file is freed if no remaining image uses it. */
async function countFreedBytes(db: Queryable, tenantId: number | null, cutoff: Date): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`
    WITH purged_images AS MATERIALIZED (
      SELECT i.id, i.tenant_id, i.content_hash, i.original_key, i.original_bytes FROM images i
      WHERE i.deleted_at IS NOT NULL AND i.has_relatives AND i.deleted_at <= ${cutoff}
        AND ${isVisibleTo({ tenantId }, 'i.tenant_id')}),
    freed_originals AS (
      SELECT original_key, min(original_bytes) AS bytes FROM purged_images
      WHERE original_key IS NOT NULL AND (
        SELECT true FROM images remaining_image WHERE remaining_image.tenant_id = purged_images.tenant_id
          AND remaining_image.content_hash = purged_images.content_hash
          AND (remaining_image.deleted_at IS NULL OR remaining_image.deleted_at > ${cutoff}) LIMIT 1) IS NULL
      GROUP BY original_key),
    freed_renditions AS (
      SELECT r.storage_key, min(r.bytes) AS bytes FROM purged_images JOIN renditions r ON r.image_id = purged_images.id
      WHERE (
        SELECT true FROM renditions remaining_rendition WHERE remaining_rendition.storage_key = r.storage_key
          AND (SELECT i.deleted_at IS NULL OR i.deleted_at > ${cutoff} FROM images i WHERE i.id = remaining_rendition.image_id)
        LIMIT 1) IS NULL
      GROUP BY r.storage_key)
    SELECT ((SELECT coalesce(sum(bytes), 0) FROM freed_originals)
      + (SELECT coalesce(sum(bytes), 0) FROM freed_renditions))::bigint AS bytes`.execute(db);
  return rows[0]?.bytes ?? 0;
}

/**
 * Counts renditions created before the cutoff. For all tenants, subtracts the newer renditions, which are usually few, from
 * the total of the usage counters. For a single tenant, counts the rows.
 */
async function countOlderRenditions(db: Queryable, tenantId: number | null, cutoff: Date): Promise<number> {
  const { rows } = await (tenantId === null
    ? sql<{ count: number }>`
        SELECT CASE WHEN (SELECT min(created_at) FROM renditions) > ${cutoff} THEN 0 ELSE
          (SELECT coalesce(sum(count), 0) FROM usage WHERE kind IN ('rendition', 'variant'))
          + (SELECT coalesce(sum(purge_renditions), 0) FROM images WHERE deleted_at IS NOT NULL)
          - (SELECT count(*) FROM renditions WHERE created_at > ${cutoff}) END::bigint AS count`
    : sql<{ count: number }>`
        SELECT count(*) AS count FROM renditions r JOIN images i ON i.id = r.image_id
        WHERE i.tenant_id = ${tenantId} AND r.created_at <= ${cutoff}`
  ).execute(db);
  return rows[0]?.count ?? 0;
}
