import type { Database } from '../../../src/db/database.ts';
import { embeddingSpace } from '../../../src/model/fingerprint.ts';

/** Returns SQL that inserts a catalog. The first tenant has half of all images. Each of the other tenants has a few. */
const insertCatalog = (imageCount: number) => `
  INSERT INTO tenants (name, uses_references) SELECT 'tenant-' || n, true FROM generate_series(1, 200) n;
  INSERT INTO images (uuid, tenant_id, status, content_hash, original_key, original_bytes, original_filename, width,
    height, format, frames, source_url, url_hash, created_at, deleted_at, purge_renditions, purge_bytes)
  SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + n % 199 END,
    CASE n % 200 WHEN 0 THEN 'pending' WHEN 1 THEN 'processing' WHEN 2 THEN 'failed' ELSE 'completed' END,
    encode(sha256(n::text::bytea), 'hex'), 'originals/1/00/' || n, 1000, n || '.jpg', 800, 600, 'jpeg', 1,
    CASE WHEN n % 4 = 0 THEN 'https://example.com/' || n END,
    CASE WHEN n % 4 = 0 THEN encode(sha256(('https://example.com/' || n)::bytea), 'hex') END,
    now() - n * interval '1 minute', CASE WHEN n % 50 = 3 THEN now() - n * interval '1 s' END,
    CASE WHEN n % 50 = 3 THEN 3 END, CASE WHEN n % 50 = 3 THEN 1300 END
  FROM generate_series(1, ${imageCount}) n;
  INSERT INTO renditions (image_id, preset, recipe, storage_key, content_hash, bytes, width, height, quality, format, created_at)
  SELECT id, preset, '0123456789', 'renditions/1/00/' || id || preset, content_hash, 100, 100, 75, 85, 'jpeg', created_at
  FROM images CROSS JOIN unnest(ARRAY['thumb', 'card', 'zoom']) AS preset WHERE status = 'completed';
  INSERT INTO jobs (kind, image_id, tenant_id, content_hash, state, error_code, failure_class, lease_until, finished_at)
  SELECT CASE WHEN source_url IS NULL THEN 'derive' ELSE 'import' END, id, tenant_id, content_hash, status,
    CASE WHEN status = 'failed' THEN 'picture_damaged' END, CASE WHEN status = 'failed' THEN 'permanent' END,
    CASE WHEN status = 'processing' THEN now() + interval '1 hour' END,
    CASE WHEN status IN ('completed', 'failed') THEN created_at END
  FROM images;
  INSERT INTO image_references (image_id, reference) SELECT id, 'page ' || id FROM images WHERE id % 3 = 0;
  UPDATE images SET in_use_count = 1 WHERE id % 3 = 0;
  INSERT INTO fingerprints (tenant_id, content_hash, version, hash, quality, aspect, thumbnail)
  SELECT tenant_id, content_hash, 1, ('x' || content_hash)::bit(256), 90, 1.5, decode(content_hash, 'hex') FROM images;
  INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
  SELECT tenant_id, content_hash, 0, hash, hash_bands(tenant_id, 0, hash) FROM fingerprints;
  INSERT INTO embeddings (tenant_id, content_hash, space, vector)
  SELECT tenant_id, content_hash, '${embeddingSpace}', ARRAY[id % 7, id % 5, 1]::real[]::vector::halfvec FROM images;
  INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason)
  SELECT id, id - 1, 1, 1, 'alike' FROM images WHERE id % 100 = 1 AND id > 1;
  INSERT INTO near_duplicates (image_id, match_id, distance, difference, reason, tier)
  SELECT id, id - 2, 1, 1, 'alike', (ARRAY['identical', 'edited', 'possible', 'variant'])[1 + id / 20 % 4]
  FROM images WHERE id % 20 = 8;
  INSERT INTO duplicate_verdicts (tenant_id, content_hash, other_hash, verdict, decided_by)
  SELECT i.tenant_id, least(i.content_hash, o.content_hash), greatest(i.content_hash, o.content_hash), 'different', 'x'
  FROM images i JOIN images o ON o.id = i.id - 2 WHERE i.id % 10 = 4;
  INSERT INTO audit_log (tenant_id, tenant, at, actor, key_id, action, target, position, hash)
  SELECT tenant_id, 'tenant-' || tenant_id, created_at, 'key ' || id % 50, (id % 50)::text,
    CASE WHEN id % 1000 = 0 THEN 'key.create' ELSE 'image.create' END, uuid::text,
    CASE WHEN id < ${imageCount} - 20 THEN row_number() OVER (PARTITION BY tenant_id ORDER BY id) END,
    CASE WHEN id < ${imageCount} - 20 THEN sha256('') END
  FROM images ORDER BY id;
  INSERT INTO audit_chains (tenant_id, tenant, last_position, last_hash)
  SELECT tenant_id, min(tenant), max(position), sha256('') FROM audit_log GROUP BY tenant_id;`;

/** Fills an empty database with a catalog of `imageCount` images, and updates its planner statistics. */
export async function fillDatabase(database: Database, imageCount: number): Promise<void> {
  await database.runScript(insertCatalog(imageCount));
  await database.runScript('VACUUM (ANALYZE)');
}
