import type { Database } from '../src/db/database.ts';
import { embeddingSpace, fingerprintVersion } from '../src/model/fingerprint.ts';
import { intakeFacts } from '../test/support/inner/records.ts';

/**
 * Fills an empty, migrated database with the rows of `count` images, which 20 tenants uploaded over ten weeks. One
 * tenant has half of the images. 2% of the images have failed, 4% were deleted 40 days ago, and 10% are in use. Each
 * completed image has facts, a fingerprint and an embedding. No files are stored.
 */
export async function fillImages(database: Database, count: number): Promise<void> {
  // The temporary table requires a single connection.
  await database.session(async (run) => {
    for (const statement of makeStatements(count)) await run(statement);
  });
}

const weeks = 10;

/** SQL expressions for the facts of image `n`. 1 % of the images have a warning; sharpness and fill are spread evenly. */
const factsOfCompleted = [
  `'${JSON.stringify(intakeFacts)}'::jsonb`,
  `CASE WHEN n % 10 < 7 THEN 'white' WHEN n % 10 < 9 THEN 'plain' ELSE 'mixed' END`,
  '(n::bigint * 7919 % 1000) / 10.0',
  '(n::bigint * 104729 % 1000) / 1000.0',
  'n % 97 = 0',
  'n % 89 = 0',
  `CASE WHEN n % 100 = 7 THEN '[{"rule": "min_fill", "limit": 0.2, "value": 0.1}]'::jsonb END`,
].map((expression) => `CASE WHEN n % 50 <> 0 THEN ${expression} END`);

function makeStatements(count: number): string[] {
  const minutesApart = (weeks * 7 * 24 * 60) / count;
  return [
    `INSERT INTO tenants (name, uses_references) SELECT 'tenant-' || n, n % 2 = 0 FROM generate_series(1, 20) n`,
    `INSERT INTO images (uuid, tenant_id, status, error, error_code, original_filename, content_hash, original_key,
       original_bytes, width, height, format, frames, color_space, has_alpha, bit_depth, created_at, updated_at,
       processed_at, in_use_count, facts, background, sharpness, fill, is_upscaled, is_heavily_compressed, warnings)
     SELECT gen_random_uuid(), tenant, CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END,
       CASE WHEN n % 50 = 0 THEN 'The image cannot be decoded.' END, CASE WHEN n % 50 = 0 THEN 'picture_damaged' END,
       'product-' || n || '.jpg', hash, 'originals/' || tenant || '/' || left(hash, 2) || '/' || hash, 100000 + n,
       1200, 1500, 'jpeg', 1, 'RGB', false, 8, uploaded_at, uploaded_at, uploaded_at,
       CASE WHEN n % 10 = 3 THEN 1 ELSE 0 END, ${factsOfCompleted.join(', ')}
     FROM (
       SELECT n, CASE WHEN n % 2 = 0 THEN 1 ELSE 2 + (n / 2) % 19 END AS tenant,
         encode(sha256(n::text::bytea), 'hex') AS hash,
         now() - make_interval(secs => 60 * ${minutesApart} * (${count} - n)) AS uploaded_at
       FROM generate_series(1, ${count}) n) uploads`,
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
    `INSERT INTO fingerprints (tenant_id, content_hash, version, hash, quality, aspect, thumbnail)
     SELECT tenant_id, content_hash, ${fingerprintVersion}, ('x' || content_hash)::bit(256), 90, 0.8,
       decode(repeat(content_hash, 96), 'hex')
     FROM images WHERE status = 'completed'`,
    `INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
     SELECT tenant_id, content_hash, 0, hash, hash_bands(tenant_id, 0, hash) FROM fingerprints`,
    // There are only a thousand different vectors, because generating 512 random numbers for each image is slow.
    `CREATE TEMPORARY TABLE vectors AS
     SELECT n, array_agg((random() * 200 - 100)::int)::real[]::vector::halfvec AS vector
     FROM generate_series(0, 999) n, generate_series(1, 512) GROUP BY n`,
    `INSERT INTO embeddings (tenant_id, content_hash, space, vector)
     SELECT i.tenant_id, i.content_hash, '${embeddingSpace}', v.vector FROM images i JOIN vectors v ON v.n = i.id % 1000
     WHERE i.status = 'completed'`,
    'DROP TABLE vectors',
    'VACUUM (ANALYZE)',
  ];
}
