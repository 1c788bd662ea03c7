import { type RawBuilder, sql } from 'kysely';
import { AppError } from '../../errors.ts';
import type { Embedding } from '../../model/fingerprint.ts';
import type { SimilarityOptions } from '../../model/similarity.ts';
import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** A similar image. */
export interface SimilarityMatch {
  /** Id of the image. */
  readonly id: number;
  readonly score: number;
}

/** Result of a search: the similar images, and the number of images that were compared. */
export interface SimilarityMatches {
  readonly matches: readonly SimilarityMatch[];
  readonly searchedCount: number;
}

/** Queries that search and count embeddings. */
export type EmbeddingQueries = ReturnType<typeof makeEmbeddingQueries>;

/**
 * Creates the embedding queries. A search compares all of the tenant's vectors, so it is exact. It is fast enough for tens of
 * thousands of images per tenant.
 */
export function makeEmbeddingQueries({ sql: db }: Database, vectors: VectorSupport = { isAvailable: true }) {
  function assertAvailable(): void {
    if (vectors.isAvailable) return;
    throw new AppError('similarity_unavailable', `Similarity search is unavailable: ${vectors.reason}.`);
  }

  async function search(
    tenantId: number,
    space: string,
    vector: RawBuilder<unknown>,
    excludedContentHash: string,
    { limit, threshold }: SimilarityOptions,
  ): Promise<SimilarityMatches> {
    assertAvailable();
    // The distance to a zero vector (an image without features) is NaN. The score is then 0.
    const { rows } = await sql<{ id: number | null; score: number; searchedCount: number }>`
      WITH scored_images AS MATERIALIZED (
        SELECT i.id, greatest(0, least(1, 1 - coalesce(nullif(e.vector <=> ${vector}, 'NaN'), 1))) AS score
        FROM embeddings e JOIN images i ON i.tenant_id = e.tenant_id AND i.content_hash = e.content_hash
          AND i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.status = 'completed'
        WHERE e.tenant_id = ${tenantId} AND e.space = ${space} AND e.content_hash <> ${excludedContentHash}),
      best_images AS (
        SELECT id, score FROM scored_images WHERE score >= ${threshold} ORDER BY score DESC, id LIMIT ${limit})
      SELECT best_images.id, best_images.score, total.count AS "searchedCount"
      FROM (SELECT count(*) AS count FROM scored_images) total LEFT JOIN best_images ON true
      ORDER BY best_images.score DESC, best_images.id`.execute(db);
    const matches = rows.flatMap(({ id, score }) => (id === null ? [] : [{ id, score }]));
    return { matches, searchedCount: rows[0]?.searchedCount ?? 0 };
  }

  return {
    /** Finds images similar to stored content. Returns `undefined` if the content has no embedding. */
    async findSimilarToContent(
      tenantId: number,
      contentHash: string,
      space: string,
      options: SimilarityOptions,
    ): Promise<SimilarityMatches | undefined> {
      assertAvailable();
      const matchesContent = sql`tenant_id = ${tenantId} AND space = ${space} AND content_hash = ${contentHash}`;
      const { rows } = await sql`SELECT 1 FROM embeddings WHERE ${matchesContent}`.execute(db);
      if (rows.length === 0) return undefined;
      const vector = sql`(SELECT vector FROM embeddings WHERE ${matchesContent})`;
      return search(tenantId, space, vector, contentHash, options);
    },

    /** Finds images similar to a picture that is not stored. Excludes images whose content hash is `excludedContentHash`. */
    findSimilarToPicture: (
      tenantId: number,
      embedding: Embedding,
      excludedContentHash: string,
      options: SimilarityOptions,
    ): Promise<SimilarityMatches> =>
      search(
        tenantId,
        embedding.space,
        sql`${formatHalfVector(embedding)}::halfvec`,
        excludedContentHash,
        options,
      ),

    async count(space: string): Promise<number> {
      if (!vectors.isAvailable) return 0;
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM embeddings WHERE space = ${space}`.execute(db);
      return rows[0]?.count ?? 0;
    },
  };
}

/**
 * Returns the statement that inserts or replaces an image's embedding.
 * @param image table expression that yields one row of `images`.
 */
export function upsertEmbedding(image: RawBuilder<unknown>, embedding: Embedding): RawBuilder<unknown> {
  return sql`
    INSERT INTO embeddings (tenant_id, content_hash, space, vector)
    SELECT tenant_id, content_hash, ${embedding.space}, ${formatHalfVector(embedding)}::halfvec FROM ${image}
    ON CONFLICT (tenant_id, space, content_hash) DO UPDATE SET vector = excluded.vector`;
}

/** Half-precision floats represent integers up to this value exactly. PostgreSQL parses integers faster than fractions. */
const maxExactInteger = 2_048;

/** Formats a vector for the database. Only its direction matters, so it is scaled to integers. */
function formatHalfVector({ vector }: Embedding): string {
  return `[${vector.map((value) => Math.round(value * maxExactInteger)).join(',')}]`;
}
