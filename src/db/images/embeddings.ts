import { type RawBuilder, sql } from 'kysely';
import { AppError } from '../../errors.ts';
import type { Embedding } from '../../model/fingerprint.ts';
import type { SimilarityOptions } from '../../model/similarity.ts';
import type { Database } from '../database.ts';
import type { VectorSupport } from '../engine/vectors.ts';

/** An image that a search found. */
export interface SimilarRow {
  readonly id: number;
  readonly score: number;
}

/** Images that a search found, and how many it compared. */
export interface SimilarRows {
  readonly found: readonly SimilarRow[];
  readonly searched: number;
}

/** Queries on descriptors. */
export type EmbeddingQueries = ReturnType<typeof makeEmbeddingQueries>;

/**
 * Queries on descriptors. Every vector of the tenant is compared: exact, and fast enough for the tens of thousands of
 * pictures that one tenant has in this version.
 */
export function makeEmbeddingQueries({ sql: db }: Database, vectors: VectorSupport = { isAvailable: true }) {
  function assertAvailable(): void {
    if (vectors.isAvailable) return;
    throw new AppError('similarity_unavailable', `Similar images cannot be searched: ${vectors.reason}.`);
  }

  async function search(
    tenantId: number,
    space: string,
    vector: RawBuilder<unknown>,
    exceptContent: string,
    { limit, threshold }: SimilarityOptions,
  ): Promise<SimilarRows> {
    assertAvailable();
    // The distance to a vector of zeros (a picture without any feature) is no number: nothing is similar to it.
    const { rows } = await sql<{ id: number | null; score: number; searched: number }>`
      WITH compared AS MATERIALIZED (
        SELECT i.id, greatest(0, least(1, 1 - coalesce(nullif(e.vector <=> ${vector}, 'NaN'), 1))) AS score
        FROM embeddings e JOIN images i ON i.tenant_id = e.tenant_id AND i.content_hash = e.content_hash
          AND i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.status = 'completed'
        WHERE e.tenant_id = ${tenantId} AND e.space = ${space} AND e.content_hash <> ${exceptContent}),
      best AS (
        SELECT id, score FROM compared WHERE score >= ${threshold} ORDER BY score DESC, id LIMIT ${limit})
      SELECT best.id, best.score, total.searched
      FROM (SELECT count(*) AS searched FROM compared) total LEFT JOIN best ON true
      ORDER BY best.score DESC, best.id`.execute(db);
    const found = rows.flatMap(({ id, score }) => (id === null ? [] : [{ id, score }]));
    return { found, searched: rows[0]?.searched ?? 0 };
  }

  return {
    /** Images like the one with this content; `undefined` when its descriptor is not there. */
    async similarToContent(
      tenantId: number,
      contentHash: string,
      space: string,
      options: SimilarityOptions,
    ): Promise<SimilarRows | undefined> {
      assertAvailable();
      const own = sql`tenant_id = ${tenantId} AND space = ${space} AND content_hash = ${contentHash}`;
      const { rows } = await sql`SELECT 1 FROM embeddings WHERE ${own}`.execute(db);
      if (rows.length === 0) return undefined;
      const vector = sql`(SELECT vector FROM embeddings WHERE ${own})`;
      return search(tenantId, space, vector, contentHash, options);
    },

    /** Images like a picture that is not stored, except those with `exceptContent`. */
    similarToPicture: (
      tenantId: number,
      embedding: Embedding,
      exceptContent: string,
      options: SimilarityOptions,
    ): Promise<SimilarRows> =>
      search(tenantId, embedding.space, sql`${halfVector(embedding)}::halfvec`, exceptContent, options),

    async count(space: string): Promise<number> {
      if (!vectors.isAvailable) return 0;
      const { rows } = await sql<{ count: number }>`
        SELECT count(*) AS count FROM embeddings WHERE space = ${space}`.execute(db);
      return rows[0]?.count ?? 0;
    },
  };
}

/** Whole numbers up to this are exact in 16 bits; they are also read several times faster than fractions. */
const exactInHalf = 2_048;

/** A vector as the database reads it. Only its direction counts, so it is stretched to whole numbers. */
export function halfVector({ vector }: Embedding): string {
  return `[${vector.map((value) => Math.round(value * exactInHalf)).join(',')}]`;
}
