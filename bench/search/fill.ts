import { sql } from 'kysely';
import type { Database } from '../../src/db/database.ts';
import { bandKeys } from '../../src/db/images/hash-bands.ts';
import { embeddingDimension, embeddingSpace } from '../../src/model/fingerprint.ts';

const batchSize = 2_000;

/** SQL expression for the content hash of the n-th image. */
const contentHash = "encode(sha256(n::text::bytea), 'hex')";

/** Adds the n-th to the last hash, each under the content hash of its number. The band indexes are made afterwards. */
export async function addHashes(
  database: Database,
  tenantId: number,
  from: number,
  to: number,
  makeHash: () => string,
): Promise<void> {
  const definitions = await database.session((run) =>
    run(`SELECT indexname AS name, indexdef AS definition FROM pg_indexes
      WHERE tablename = 'frame_hashes' AND indexname LIKE 'frame_hashes_by_band_%'`),
  );
  for (const { name } of definitions) await database.runScript(`DROP INDEX ${String(name)}`);
  for (let start = from; start < to; start += batchSize) {
    const hashes = Array.from({ length: Math.min(batchSize, to - start) }, makeHash);
    const keys = hashes.map((hash) => `{${bandKeys(tenantId, { frame: 'full', hash }).join(',')}}`);
    await sql`
      INSERT INTO frame_hashes (tenant_id, content_hash, frame, hash, bands)
      SELECT ${tenantId}, ${sql.raw(contentHash)}, 0, ('x' || hash)::bit(256), keys::bigint[]
      FROM (SELECT ${start} + position AS n, hash, keys
        FROM unnest(${hashes}::text[], ${keys}::text[]) WITH ORDINALITY AS made (hash, keys, position)) numbered`.execute(
      database.sql,
    );
  }
  for (const { definition } of definitions) await database.runScript(String(definition));
  await database.runScript('VACUUM (ANALYZE) frame_hashes');
}

/** Stores the vectors of real pictures, and random directions, in tables of this session's schema. */
export async function storeRealVectors(
  database: Database,
  vectors: readonly (readonly number[])[],
  draw: () => number,
): Promise<void> {
  await database.runScript(
    'CREATE TABLE real_vectors (n integer, vector halfvec); CREATE TABLE noise (n integer, vector halfvec)',
  );
  const insert = async (table: string, rows: readonly (readonly number[])[]) => {
    const texts = rows.map((row) => `[${row.join(',')}]`);
    await sql`INSERT INTO ${sql.table(table)} SELECT position - 1, l2_normalize(vector::halfvec)
      FROM unnest(${texts}::text[]) WITH ORDINALITY AS made (vector, position)`.execute(database.sql);
  };
  await insert('real_vectors', vectors);
  const directions = Array.from({ length: 1_000 }, () =>
    Array.from({ length: embeddingDimension }, () =>
      Number((draw() + draw() + draw() + draw() - 2).toFixed(4)),
    ),
  );
  await insert('noise', directions);
}

/**
 * Adds images with vectors around the real ones: a mixture of two real vectors (up to nearly 1 : 1), and a random direction of a
 * quarter of their length.
 */
export async function addVectors(
  database: Database,
  tenantId: number,
  from: number,
  to: number,
): Promise<void> {
  const scale = (factor: string) =>
    `array_fill((${factor})::real, ARRAY[${embeddingDimension}])::vector::halfvec`;
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, original_filename, content_hash, original_key, original_bytes, width, height,
      format, frames)
    SELECT gen_random_uuid(), ${tenantId}, 'completed', n || '.jpg', ${contentHash}, 'originals/' || n, 1000, 800, 800,
      'jpeg', 1
    FROM generate_series(${from + 1}, ${to}) n;
    INSERT INTO embeddings (tenant_id, content_hash, space, vector)
    SELECT ${tenantId}, ${contentHash.replace('n::', 'made.n::')}, '${embeddingSpace}',
      l2_normalize((a.vector * w.rest) + (b.vector * w.share) + (c.vector * w.noise)) * w.length
    FROM generate_series(${from + 1}, ${to}) AS made (n)
    JOIN (SELECT step, ${scale('1 - step / 32.0')} AS rest, ${scale('step / 32.0')} AS share, ${scale('0.25')} AS noise,
        ${scale('2048')} AS length FROM generate_series(0, 15) step) w ON w.step = hashint8(made.n::bigint) & 15
    JOIN real_vectors a ON a.n = (hashint8(made.n::bigint + 1000000007) & 1073741823) % (SELECT count(*) FROM real_vectors)
    JOIN real_vectors b ON b.n = (hashint8(made.n::bigint + 2000000011) & 1073741823) % (SELECT count(*) FROM real_vectors)
    JOIN noise c ON c.n = (hashint8(made.n::bigint + 3000000019) & 1073741823) % 1000;
    ANALYZE images, embeddings`);
}
