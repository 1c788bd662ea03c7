import { makeQueries } from '../../../src/db/queries.ts';
import type { Database } from '../../../src/db/database.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import type { TenantUsage } from '../../../src/model/tenant.ts';
import { selectRows } from './database.ts';

/** Returns the usage of every tenant according to the usage counters. */
export function usageFromCounters(database: Database): Promise<TenantUsage[]> {
  return makeQueries(database).usage.listByTenant(unrestrictedPrincipal);
}

/**
 * Returns the usage of every tenant, computed from the rows of images that are not deleted. Counts each file once. Deleted
 * images count separately: a file that several of them use counts for each, except the original of a duplicate.
 */
export async function usageFromRows(database: Database): Promise<TenantUsage[]> {
  const rows = await selectRows<TenantUsage>(database, recountQuery);
  return rows.map((row) => ({
    ...row,
    bytesByPreset: row.bytesByPreset ?? {},
    bytesByFormat: row.bytesByFormat ?? {},
  }));
}

const recountQuery = `
  WITH live_images AS (SELECT * FROM images WHERE deleted_at IS NULL),
  deleted_images AS (SELECT * FROM images WHERE deleted_at IS NOT NULL),
  originals AS (SELECT DISTINCT tenant_id, original_key, original_bytes AS bytes FROM live_images WHERE original_key IS NOT NULL),
  live_renditions AS (SELECT i.tenant_id, r.preset, r.format, r.storage_key, r.bytes,
    r.is_listed AND r.superseded_at IS NULL AS is_counted FROM renditions r JOIN live_images i ON i.id = r.image_id),
  files AS (SELECT DISTINCT tenant_id, preset, format, storage_key, bytes FROM live_renditions),
  presets AS (SELECT tenant_id, preset, sum(bytes)::int AS bytes FROM files GROUP BY tenant_id, preset),
  formats AS (SELECT tenant_id, format, sum(bytes)::int AS bytes FROM files GROUP BY tenant_id, format)
  SELECT t.id AS "tenantId", t.name AS tenant,
    (SELECT count(*) FROM live_images WHERE tenant_id = t.id) AS images,
    (SELECT count(*) FROM live_renditions WHERE tenant_id = t.id AND is_counted) AS renditions,
    (SELECT coalesce(sum(bytes), 0)::bigint FROM originals WHERE tenant_id = t.id) AS "originalBytes",
    (SELECT coalesce(sum(bytes), 0)::bigint FROM files WHERE tenant_id = t.id) AS "renditionBytes",
    (SELECT json_object_agg(preset, bytes) FROM presets WHERE tenant_id = t.id) AS "bytesByPreset",
    (SELECT json_object_agg(format, bytes) FROM formats WHERE tenant_id = t.id) AS "bytesByFormat",
    (SELECT json_build_object(
      'pending', count(*) FILTER (WHERE status = 'pending'), 'processing', count(*) FILTER (WHERE status = 'processing'),
      'completed', count(*) FILTER (WHERE status = 'completed'), 'failed', count(*) FILTER (WHERE status = 'failed'))
      FROM live_images WHERE tenant_id = t.id) AS "imagesByStatus",
    (SELECT count(*) FROM deleted_images WHERE tenant_id = t.id) AS "deletedImages",
    (SELECT coalesce(sum(original_bytes) FILTER (WHERE duplicate_of IS NULL), 0)::bigint FROM deleted_images WHERE tenant_id = t.id)
      + (SELECT coalesce(sum(r.bytes), 0)::bigint FROM renditions r JOIN deleted_images i ON i.id = r.image_id
        WHERE i.tenant_id = t.id) AS "deletedBytes"
  FROM tenants t ORDER BY t.name`;
