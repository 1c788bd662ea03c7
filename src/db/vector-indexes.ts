import { createHash } from 'node:crypto';
import { sql } from 'kysely';
import { isAtLeast } from '../version.ts';
import type { Database } from './database.ts';
import { selectNearest, type SimilarityQuery, useIndex } from './images/similarity-search.ts';

/** The embeddings of a tenant in a space. */
export interface VectorGroup {
  readonly tenantId: number;
  readonly space: string;
  readonly dimension: number;
  readonly vectors: number;
}

/** An approximate index of the embeddings of a tenant in a space. */
export interface ListedVectorIndex {
  readonly tenantId: number;
  readonly tenant: string;
  readonly space: string;
  readonly name: string;
  readonly isReady: boolean;
  readonly efSearch: number;
  /** Share of the best images that the index found at the last audit; `null` before it. */
  readonly recall: number | null;
}

/** Queries that make, remove and check approximate indexes. */
export type VectorIndexQueries = ReturnType<typeof makeVectorIndexQueries>;

/** Parameters of the index: links of a vector, and candidates that are kept while it is inserted. */
const graph = { m: 16, efConstruction: 128 };

/** Number of candidates that a search keeps, until an audit shows that it needs more. */
const initialEfSearch = 100;

/** Earlier versions write outside their memory if several processes build an index (CVE-2026-3172). */
const firstVersionWithSafeParallelBuild = '0.8.2';

const namePrefix = 'embeddings_hnsw_';

/** @see VectorIndexQueries */
export function makeVectorIndexQueries(database: Database) {
  const { sql: db } = database;
  return {
    /**
     * Whether indexes cannot be made now: the database has no vectors, a build is running, or the database is embedded. A build
     * would block the only connection of an embedded database for minutes.
     */
    async isUnusable(): Promise<boolean> {
      if (database.kind === 'embedded') return true;
      const { rows } = await sql`
        SELECT 1 WHERE to_regclass('embeddings') IS NULL
          OR EXISTS (SELECT 1 FROM pg_stat_progress_create_index WHERE relid = to_regclass('embeddings'))`.execute(
        db,
      );
      return rows.length > 0;
    },

    /** Lists the groups that have at least `minVectors` embeddings. Reads one index entry for each embedding. */
    async listLargeGroups(minVectors: number): Promise<VectorGroup[]> {
      const { rows } = await sql<VectorGroup>`
        SELECT large.tenant_id AS "tenantId", large.space, large.vectors,
          (SELECT vector_dims(e.vector) FROM embeddings e
           WHERE e.tenant_id = large.tenant_id AND e.content_hash = large.content_hash AND e.space = large.space) AS dimension
        FROM (SELECT tenant_id, space, count(*) AS vectors, min(content_hash) AS content_hash FROM embeddings
          GROUP BY tenant_id, space HAVING count(*) >= ${minVectors}) large
        ORDER BY large.tenant_id, large.space`.execute(db);
      return rows;
    },

    async list(): Promise<ListedVectorIndex[]> {
      const { rows } = await sql<ListedVectorIndex>`
        SELECT x.tenant_id AS "tenantId", t.name AS tenant, x.space, x.index_name AS name, x.is_ready AS "isReady",
          x.ef_search AS "efSearch", x.recall
        FROM vector_indexes x JOIN tenants t ON t.id = x.tenant_id ORDER BY x.tenant_id, x.space`.execute(db);
      return rows;
    },

    async recordCount({ tenantId, space, vectors }: VectorGroup): Promise<void> {
      await sql`UPDATE vector_indexes SET vectors = ${vectors}
        WHERE tenant_id = ${tenantId} AND space = ${space}`.execute(db);
    },

    /** Builds the index of a group, without a lock that writers would wait for. */
    async build(group: VectorGroup): Promise<void> {
      const { tenantId, space, vectors } = group;
      const name = indexName(group);
      await sql`
        INSERT INTO vector_indexes (tenant_id, space, index_name, vectors, ef_search)
        VALUES (${tenantId}, ${space}, ${name}, ${vectors}, ${initialEfSearch})
        ON CONFLICT (tenant_id, space) DO UPDATE SET is_ready = false, begun_at = now(), vectors = excluded.vectors`.execute(
        db,
      );
      await createIndex(database, name, group);
      await sql`UPDATE vector_indexes SET is_ready = true
        WHERE tenant_id = ${tenantId} AND space = ${space}`.execute(db);
    },

    /** Removes an index. Searches compare all vectors from now on. */
    async remove({ tenantId, space, name }: ListedVectorIndex): Promise<void> {
      await sql`DELETE FROM vector_indexes WHERE tenant_id = ${tenantId} AND space = ${space}`.execute(db);
      await dropIndex(database, name);
    },

    /** Removes indexes that no tenant has any more. */
    async removeUnlisted(): Promise<void> {
      const { rows } = await sql<{ name: string }>`
        SELECT c.relname AS name FROM pg_class c JOIN pg_index x ON x.indexrelid = c.oid
        WHERE x.indrelid = 'embeddings'::regclass AND starts_with(c.relname, ${namePrefix})
          AND NOT EXISTS (SELECT 1 FROM vector_indexes WHERE index_name = c.relname)`.execute(db);
      for (const { name } of rows) await dropIndex(database, name);
    },

    /** Returns the hashes of up to `count` random contents of a group. */
    async sampleContent({ tenantId, space }: Pick<VectorGroup, 'tenantId' | 'space'>, count: number) {
      // From a random hash onwards: hashes are random, and this reads only as many index entries.
      const start = sql`encode(sha256(random()::text::bytea), 'hex')`;
      const { rows } = await sql<{ contentHash: string }>`
        SELECT content_hash AS "contentHash" FROM embeddings WHERE tenant_id = ${tenantId} AND space = ${space}
          AND content_hash >= (SELECT ${start} OFFSET 0)
        ORDER BY content_hash LIMIT ${count}`.execute(db);
      return rows.map(({ contentHash }) => contentHash);
    },

    /** Returns the share of the `limit` best contents that the index finds for a stored vector. */
    async measureRecall(
      { tenantId, space, efSearch }: Pick<ListedVectorIndex, 'tenantId' | 'space' | 'efSearch'>,
      contentHash: string,
      limit: number,
    ): Promise<number | undefined> {
      const { rows } = await sql<{ vector: string; dimension: number }>`
        SELECT vector::text AS vector, vector_dims(vector) AS dimension FROM embeddings
        WHERE tenant_id = ${tenantId} AND space = ${space} AND content_hash = ${contentHash}`.execute(db);
      const [row] = rows;
      if (!row) return undefined;
      const query = { tenantId, space, ...row, excludedContentHash: '' };
      const exact = await selectExactly(database, query, limit);
      const found = new Set(await selectByIndex(database, query, limit, efSearch));
      return exact.filter((hash) => found.has(hash)).length / Math.max(1, exact.length);
    },

    async recordAudit(
      { tenantId, space }: Pick<VectorGroup, 'tenantId' | 'space'>,
      recall: number,
      efSearch: number,
    ): Promise<void> {
      await sql`UPDATE vector_indexes SET recall = ${recall}, ef_search = ${efSearch}, audited_at = now()
        WHERE tenant_id = ${tenantId} AND space = ${space}`.execute(db);
    },
  };
}

/** Returns a name that is unique to the tenant and the space. A space may have any name. */
function indexName({ tenantId, space }: VectorGroup): string {
  return `${namePrefix}${tenantId}_${createHash('sha256').update(space).digest('hex').slice(0, 12)}`;
}

async function createIndex(database: Database, name: string, { tenantId, space, dimension }: VectorGroup) {
  const literal = sql.lit(space);
  // Inner product, because the index for the cosine omits zero vectors. Vectors have unit length, so the order is the same.
  const statement = sql`
    CREATE INDEX CONCURRENTLY ${sql.ref(name)} ON embeddings
    USING hnsw ((vector::halfvec(${sql.lit(dimension)})) halfvec_ip_ops)
    WITH (m = ${sql.lit(graph.m)}, ef_construction = ${sql.lit(graph.efConstruction)})
    WHERE tenant_id = ${sql.lit(tenantId)} AND space = ${literal}`.compile(database.sql).sql;
  await database.session(async (run) => {
    const [row] = await run(`SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'`);
    const canBuildInParallel = isAtLeast(String(row?.['version']), firstVersionWithSafeParallelBuild);
    try {
      await run('SET statement_timeout = 0');
      await run('SET lock_timeout = 0');
      if (!canBuildInParallel) await run('SET max_parallel_maintenance_workers = 0');
      // A build that was interrupted leaves an invalid index behind.
      await run(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`);
      await run(statement);
    } finally {
      await run('RESET statement_timeout');
      await run('RESET lock_timeout');
      await run('RESET max_parallel_maintenance_workers');
    }
  });
}

async function dropIndex(database: Database, name: string): Promise<void> {
  await database.session((run) => run(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`));
}

/** Returns the content hashes of the `limit` nearest vectors that the index finds. */
async function selectByIndex(
  { sql: db }: Database,
  query: SimilarityQuery,
  limit: number,
  efSearch: number,
): Promise<string[]> {
  return db.transaction().execute(async (transaction) => {
    await useIndex(transaction, efSearch);
    const { rows } = await sql<{ contentHash: string }>`
      SELECT content_hash AS "contentHash" FROM ${selectNearest(query, limit)}`.execute(transaction);
    return rows.map(({ contentHash }) => contentHash);
  });
}

/** Returns the content hashes of the `limit` nearest vectors. Compares all: the index does not apply without its cast. */
async function selectExactly(
  { sql: db }: Database,
  { tenantId, space, vector }: SimilarityQuery,
  limit: number,
): Promise<string[]> {
  const { rows } = await sql<{ contentHash: string }>`
    SELECT content_hash AS "contentHash" FROM embeddings WHERE tenant_id = ${tenantId} AND space = ${space}
    ORDER BY vector <#> ${vector}::halfvec LIMIT ${limit}`.execute(db);
  return rows.map(({ contentHash }) => contentHash);
}
