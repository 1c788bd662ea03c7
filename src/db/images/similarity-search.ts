import { type RawBuilder, sql } from 'kysely';
import type { SimilarityOptions } from '../../model/similarity.ts';
import type { Database, Queryable } from '../database.ts';
import { selectScore } from './half-vectors.ts';

/** A similar image. */
export interface SimilarityMatch {
  /** Id of the image. */
  readonly id: number;
  readonly score: number;
}

/** Result of a search. */
export interface SimilarityMatches {
  /** Best first. */
  readonly matches: readonly SimilarityMatch[];
  /** Number of images that were searched; if the search was not exact, at the last count. */
  readonly searchedCount: number;
  /** Whether every image was compared. */
  readonly isExact: boolean;
}

/** What is searched for. */
export interface SimilarityQuery {
  readonly tenantId: number;
  readonly space: string;
  /** The vector as the database reads it. */
  readonly vector: string;
  readonly dimension: number;
  /** Images with this content are omitted. */
  readonly excludedContentHash: string;
}

/** An approximate index of a tenant's embeddings. */
interface VectorIndex {
  readonly vectors: number;
  readonly efSearch: number;
}

/** Images that can be found, as a condition on `images i`. */
const canBeFound = sql`i.deleted_at IS NULL AND i.duplicate_of IS NULL AND i.status = 'completed'`;

/**
 * Creates the search for similar images. It uses the tenant's approximate index if there is one, and compares all vectors
 * otherwise, or if the index returns fewer images than were asked for.
 */
export function makeSimilaritySearch({ sql: db, kind }: Database) {
  return async (query: SimilarityQuery, options: SimilarityOptions): Promise<SimilarityMatches> => {
    const index = kind === 'postgres' ? await findIndex(db, query) : undefined;
    return (index && (await searchIndex(db, query, options, index))) ?? searchAll(db, query, options);
  };
}

async function findIndex(
  db: Queryable,
  { tenantId, space }: SimilarityQuery,
): Promise<VectorIndex | undefined> {
  const { rows } = await sql<VectorIndex>`
    SELECT vectors, ef_search AS "efSearch" FROM vector_indexes
    WHERE tenant_id = ${tenantId} AND space = ${space} AND is_ready`.execute(db);
  return rows[0];
}

/** Compares all of the tenant's vectors. */
async function searchAll(
  db: Queryable,
  { tenantId, space, vector, excludedContentHash }: SimilarityQuery,
  { limit, threshold, metric }: SimilarityOptions,
): Promise<SimilarityMatches> {
  const { rows } = await sql<{ id: number | null; score: number; searchedCount: number }>`
    WITH scored_images AS MATERIALIZED (
      SELECT i.id, ${selectScore(metric, sql`e.vector`, sql`${vector}::halfvec`)} AS score
      FROM embeddings e JOIN images i ON i.tenant_id = e.tenant_id AND i.content_hash = e.content_hash
        AND ${canBeFound}
      WHERE e.tenant_id = ${tenantId} AND e.space = ${space} AND e.content_hash <> ${excludedContentHash}),
    best_images AS (
      SELECT id, score FROM scored_images WHERE score >= ${threshold} ORDER BY score DESC, id LIMIT ${limit})
    SELECT best_images.id, best_images.score, total.count AS "searchedCount"
    FROM (SELECT count(*) AS count FROM scored_images) total LEFT JOIN best_images ON true
    ORDER BY best_images.score DESC, best_images.id`.execute(db);
  const matches = rows.flatMap(({ id, score }) => (id === null ? [] : [{ id, score }]));
  return { matches, searchedCount: rows[0]?.searchedCount ?? 0, isExact: true };
}

/** Largest value that pgvector accepts for `hnsw.ef_search`. */
const maxEfSearch = 1_000;

/**
 * Searches with the tenant's index. Returns `undefined` if fewer images were found than `limit`, although some that were not
 * found could have a sufficient score.
 */
async function searchIndex(
  db: Queryable,
  query: SimilarityQuery,
  { limit, threshold, metric }: SimilarityOptions,
  { vectors, efSearch }: VectorIndex,
): Promise<SimilarityMatches | undefined> {
  // Some of the content is excluded or belongs to deleted images.
  const count = Math.min(maxEfSearch, limit + 50);
  const rows = await db.transaction().execute(async (transaction) => {
    await useIndex(transaction, Math.max(count, efSearch));
    const result = await sql<{ id: number | null; score: number }>`
      SELECT i.id, near.score
      FROM (SELECT content_hash, ${selectScore(metric, sql`vector`, sql`${query.vector}::halfvec`)} AS score
        FROM ${selectNearest(query, count)}) near
      LEFT JOIN images i ON i.tenant_id = ${query.tenantId} AND i.content_hash = near.content_hash AND ${canBeFound}
        AND near.content_hash <> ${query.excludedContentHash}`.execute(transaction);
    return result.rows;
  });
  const matches = rows
    .flatMap(({ id, score }) => (id === null || score < threshold ? [] : [{ id, score }]))
    .toSorted((a, b) => b.score - a.score || a.id - b.id)
    .slice(0, limit);
  const worstScore = Math.min(...rows.map(({ score }) => score));
  const mayHaveMissed = matches.length < limit && (rows.length < count || worstScore >= threshold);
  if (mayHaveMissed) return undefined;
  return { matches, searchedCount: vectors, isExact: false };
}

/** Makes the rest of a transaction search with an index that keeps `efSearch` candidates. */
export async function useIndex(transaction: Queryable, efSearch: number): Promise<void> {
  await sql`SELECT set_config('hnsw.ef_search', ${String(efSearch)}, true),
    set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)`.execute(transaction);
}

/**
 * Table expression for the rows of `embeddings` that the index of the tenant and space returns as the nearest. The tenant and
 * the space are literals, because the index is partial: the planner must see that it contains all rows of the condition.
 */
export function selectNearest(
  { tenantId, space, vector, dimension }: SimilarityQuery,
  count: number,
): RawBuilder<unknown> {
  const dimensions = sql.lit(dimension);
  return sql`(SELECT content_hash, vector FROM embeddings
    WHERE tenant_id = ${sql.lit(tenantId)} AND space = ${sql.lit(space)}
    ORDER BY (vector::halfvec(${dimensions})) <#> ${vector}::halfvec(${dimensions}) LIMIT ${count}) nearest`;
}
