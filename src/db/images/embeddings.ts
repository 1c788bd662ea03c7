import { type RawBuilder, sql } from 'kysely';
import { AppError } from '../../errors.ts';
import type { Embedding } from '../../model/fingerprint.ts';
import type { SimilarityOptions } from '../../model/similarity.ts';
import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';
import { formatHalfVector } from './half-vectors.ts';
import { makeSimilaritySearch, type SimilarityMatches } from './similarity-search.ts';

/** Queries that search and count embeddings. */
export type EmbeddingQueries = ReturnType<typeof makeEmbeddingQueries>;

/** Creates the embedding queries. */
export function makeEmbeddingQueries(database: Database, vectors: VectorSupport = { isAvailable: true }) {
  const { sql: db } = database;
  const search = makeSimilaritySearch(database);

  function assertAvailable(): void {
    if (vectors.isAvailable) return;
    throw new AppError('similarity_unavailable', `Similarity search is unavailable: ${vectors.reason}.`);
  }

  return {
    /**
     * Finds images similar to stored content. Searches in `space`; during a reindexing, and for content that has no embedding in
     * it yet, in the space in which the tenant's images still are. The options may depend on this space. Returns `undefined` if the content has no embedding.
     */
    async findSimilarToContent(
      tenantId: number,
      contentHash: string,
      space: string,
      options: SimilarityOptions | ((searchedSpace: string) => SimilarityOptions),
    ): Promise<SimilarityMatches | undefined> {
      assertAvailable();
      const { rows } = await sql<{ space: string; vector: string; dimension: number }>`
        SELECT space, vector::text AS vector, vector_dims(vector) AS dimension FROM embeddings
        WHERE tenant_id = ${tenantId} AND content_hash = ${contentHash}
        ORDER BY space = (SELECT s.space FROM search_spaces s WHERE s.tenant_id = ${tenantId}) DESC NULLS LAST,
          space = ${space} DESC, space LIMIT 1`.execute(db);
      const [row] = rows;
      if (!row) return undefined;
      const spaceOptions = typeof options === 'function' ? options(row.space) : options;
      return search({ tenantId, ...row, excludedContentHash: contentHash }, spaceOptions);
    },

    /** Finds images similar to a picture that is not stored. Excludes images whose content hash is `excludedContentHash`. */
    async findSimilarToPicture(
      tenantId: number,
      embedding: Embedding,
      excludedContentHash: string,
      options: SimilarityOptions,
    ): Promise<SimilarityMatches> {
      assertAvailable();
      const { space, vector } = embedding;
      return search(
        { tenantId, space, vector: formatHalfVector(vector), dimension: vector.length, excludedContentHash },
        options,
      );
    },

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
export function upsertEmbedding(
  image: RawBuilder<unknown>,
  { space, vector }: Embedding,
): RawBuilder<unknown> {
  return sql`
    INSERT INTO embeddings (tenant_id, content_hash, space, vector)
    SELECT tenant_id, content_hash, ${space}, ${formatHalfVector(vector)}::halfvec FROM ${image}
    ON CONFLICT (tenant_id, space, content_hash) DO UPDATE SET vector = excluded.vector`;
}
