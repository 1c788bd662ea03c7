import type { Database } from '../src/db/database.ts';

/**
 * Fills an empty, migrated database with the rows of `count` images of 20 tenants, as if they had come in over ten weeks:
 * one tenant has half of them, 2 % have failed, 4 % were deleted 40 days ago, 10 % are in use. Nothing of them lies in
 * storage.
 */
export async function fillImages(database: Database, count: number): Promise<void> {
  for (const statement of statements(count)) await database.runScript(statement);
}

const weeks = 10;

function statements(count: number): string[] {
  const minutesApart = (weeks * 7 * 24 * 60) / count;
  return [
    `INSERT INTO tenants (name, uses_references) SELECT 'tenant-' || n, n % 2 = 0 FROM generate_series(1, 20) n`,
    `INSERT INTO images (uuid, tenant_id, status, error, error_code, original_filename, content_hash, original_key,
       original_bytes, width, height, format, frames, color_space, has_alpha, bit_depth, created_at, updated_at,
       processed_at, in_use_count)
     SELECT gen_random_uuid(), tenant, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END,
       CASE WHEN n % 50 = 0 THEN 'The picture cannot be decoded.' END, CASE WHEN n % 50 = 0 THEN 'picture_damaged' END,
       'product-' || n || '.jpg', hash, 'originals/' || tenant || '/' || left(hash, 2) || '/' || hash, 100000 + n,
       1200, 1500, 'jpeg', 1, 'RGB', false, 8, arrived, arrived, arrived,
       CASE WHEN n % 10 = 3 THEN 1 ELSE 0 END
     FROM (
       SELECT n, CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + (n / 2) % 19 END AS tenant,
         encode(sha256(n::text::bytea), 'hex') AS hash,
         now() - make_interval(secs => 60 * ${minutesApart} * (${count} - n)) AS arrived
       FROM generate_series(1, ${count}) n) source`,
    `INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format,
       created_at)
     SELECT id, preset, '0123456789', 'renditions/' || tenant_id || '/' || left(content_hash, 2) || '/' || content_hash
       || '-' || preset || '-0123456789.jpg', content_hash, size * size / 10, size, size, 85, 'jpeg', created_at
     FROM images, (VALUES ('thumb', 100), ('card', 400), ('zoom', 1200)) AS presets (preset, size)
     WHERE status = 'completed'`,
    `UPDATE images SET deleted_at = now() - interval '40 days', purge_renditions = 3,
       purge_bytes = original_bytes + 161000 WHERE id % 25 = 1`,
    `INSERT INTO image_references (image_id, reference) SELECT id, 'sku-' || id FROM images WHERE in_use_count = 1`,
    `INSERT INTO jobs (kind, image_id, tenant_id, content_hash, state, error_code, created_at, finished_at)
     SELECT 'derive', id, tenant_id, content_hash, status, error_code, created_at, created_at FROM images`,
    'VACUUM (ANALYZE)',
  ];
}
