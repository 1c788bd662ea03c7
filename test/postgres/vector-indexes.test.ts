import { sql } from 'kysely';
import { beforeAll, expect, test } from 'vitest';
import { makeQueries } from '../../src/db/queries.ts';
import type { SimilarityMetric } from '../../src/model/similarity.ts';
import { embeddingSpace } from '../../src/model/fingerprint.ts';
import { makeVectorIndexSweeps } from '../../src/services/sweep/vector-indexes.ts';
import { runInTenant } from '../../src/tenant-scope.ts';
import { openDatabase, selectRow, selectRows } from '../support/inner/database.ts';
import { makeRecordingLogger } from '../support/inner/logger.ts';
import { sha256Hex } from '../support/inner/records.ts';

const database = await openDatabase();
const { embeddings, tenants, vectorIndexes } = makeQueries(database);
const shop = await tenants.ensure('shop');
const rival = await tenants.ensure('rival');
const imageCount = 1_200;
const dimension = 16;
const all = { limit: 10, threshold: 0, metric: 'cosine' } as const;

/** Gives a tenant images whose vectors lie on a sphere. Numbers and hashes are the same in every run. */
async function fill(tenantId: number, count: number, space = embeddingSpace): Promise<void> {
  await database.runScript(`
    INSERT INTO images (uuid, tenant_id, status, original_filename, content_hash, original_key, original_bytes, width, height,
      format, frames)
    SELECT gen_random_uuid(), ${tenantId}, 'completed', n || '.jpg', encode(sha256(n::text::bytea), 'hex'),
      '${tenantId}/' || n, 1, 1, 1, 'jpeg', 1 FROM generate_series(1, ${count}) n
    ON CONFLICT DO NOTHING;
    INSERT INTO embeddings (tenant_id, content_hash, space, vector)
    SELECT ${tenantId}, encode(sha256(n::text::bytea), 'hex'), '${space}',
      l2_normalize(array_agg(sin(n * (place + 1.7)) + cos(n * 0.3 * place))::real[]::vector::halfvec)
        * array_fill(2048::real, ARRAY[${dimension}])::vector::halfvec
    FROM generate_series(1, ${count}) n, generate_series(1, ${dimension}) place GROUP BY n`);
}

const makeSweeps = (minImages: number) => {
  const logger = makeRecordingLogger();
  return { ...makeVectorIndexSweeps({ vectorIndexes, minImages, logger }), logger };
};
const listIndexes = () =>
  selectRows<{ name: string }>(
    database,
    "SELECT indexname AS name FROM pg_indexes WHERE indexname LIKE 'embeddings_hnsw_%'",
  );

const search = async (
  content: string,
  options: Parameters<typeof embeddings.findSimilarToContent>[3] = all,
) => (await embeddings.findSimilarToContent(shop.id, sha256Hex(content), embeddingSpace, options))!;

beforeAll(async () => {
  await fill(shop.id, imageCount);
  await fill(rival.id, 30);
  await database.runScript('ANALYZE');
});

test('a large tenant gets an index of its own, which finds what a comparison with all images finds', async () => {
  const exact = await search('7');
  expect(exact).toMatchObject({ isExact: true, searchedCount: imageCount - 1 });
  const { maintain, logger } = makeSweeps(1_000);
  await maintain();
  expect(logger.messages()).toEqual([`built a similarity index of ${imageCount} images`]);
  expect(await listIndexes()).toHaveLength(1);
  const found = await search('7');
  expect(found).toMatchObject({ isExact: false, searchedCount: imageCount });
  expect(found.matches).toHaveLength(10);
  const exactIds = new Set(exact.matches.map(({ id }) => id));
  expect(found.matches.filter(({ id }) => exactIds.has(id)).length).toBeGreaterThanOrEqual(9);
  // A second pass has nothing to do.
  await maintain();
  expect(logger.messages()).toHaveLength(1);
});

async function readIndexScans(): Promise<number> {
  const { scans } = await selectRow<{ scans: number }>(
    database,
    "SELECT sum(idx_scan)::int AS scans FROM pg_stat_user_indexes WHERE indexrelname LIKE 'embeddings_hnsw_%'",
  );
  return scans;
}

test('an index search reads the index, also bound to the tenant', async () => {
  for (const tenantId of [null, shop.id]) {
    const before = await readIndexScans();
    await runInTenant(tenantId, () => search('7'));
    await expect.poll(readIndexScans, { timeout: 20_000 }).toBeGreaterThan(before);
  }
});

test('returns as many images as were asked for, although most of the nearest were deleted', async () => {
  const { matches } = await search('9', { ...all, limit: 70 });
  const ids = matches.map(({ id }) => id);
  await database.runScript(`UPDATE images SET deleted_at = now() WHERE id IN (${ids.join(',')})`);
  const found = await search('9', { ...all, limit: 30 });
  expect(found).toMatchObject({ isExact: true });
  expect(found.matches).toHaveLength(30);
  expect(found.matches.filter(({ id }) => ids.includes(id))).toEqual([]);
  await database.runScript('UPDATE images SET deleted_at = NULL');
});

test('a search of one tenant never returns images of another', async () => {
  const { rows } = await sql<{ id: number }>`SELECT id FROM images WHERE tenant_id = ${rival.id}`.execute(
    database.sql,
  );
  const rivalIds = new Set(rows.map(({ id }) => id));
  const found = await search('7', { ...all, limit: 100 });
  expect(found.matches).toHaveLength(100);
  expect(found.matches.some(({ id }) => rivalIds.has(id))).toBe(false);
});

test.each(['cosine', 'l2', 'ip'] as const satisfies readonly SimilarityMetric[])(
  'the metric %s gives the same order',
  async (metric) => {
    const options = { ...all, metric };
    const byMetric = await search('11', options);
    const byCosine = await search('11');
    expect(byMetric.matches.map(({ id }) => id)).toEqual(byCosine.matches.map(({ id }) => id));
    const [best] = byMetric.matches;
    const cosine = byCosine.matches[0]!.score;
    const expected = metric === 'l2' ? 1 / (1 + Math.sqrt(2 - 2 * cosine)) : cosine;
    expect(best!.score).toBeCloseTo(expected, 2);
  },
);

test('an audit records the recall, and makes searches keep more candidates if it is too low', async () => {
  const { audit, logger } = makeSweeps(1_000);
  await audit();
  const [good] = await vectorIndexes.list();
  expect(good?.recall).toBeGreaterThanOrEqual(0.95);
  // The index then returns a single image.
  await database.runScript('UPDATE vector_indexes SET ef_search = 1');
  await audit();
  const [low] = await vectorIndexes.list();
  expect(low?.recall).toBeCloseTo(0.1);
  expect(low?.efSearch).toBe(2);
  expect(logger.messages()).toEqual([
    'the similarity index of tenant shop finds 10% of the best images; searches now keep 2 candidates',
  ]);
});

test('a tenant that has shrunk loses its index, and so does a build that was interrupted', async () => {
  const { maintain } = makeSweeps(10_000);
  await maintain();
  expect(await listIndexes()).toEqual([]);
  expect(await search('7')).toMatchObject({ isExact: true });
  await database.runScript(`CREATE INDEX embeddings_hnsw_0_left ON embeddings USING hnsw ((vector::halfvec(${dimension})) halfvec_ip_ops)
    WHERE tenant_id = 0`);
  await maintain();
  expect(await listIndexes()).toEqual([]);
});
