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
  /** The embedding space in which was searched: an older one for an image that has not been described again yet. */
  readonly space: string;
}

type Result = Omit<SimilarityMatches, 'space'>;

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
    const result =
      (index && (await searchIndex(db, query, options, index))) ??
      (await searchExactly(db, query, options)) ??
      (await searchAllImages(db, query, options));
    return { ...result, space: query.space };
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

/**
 * Compares all of the tenant's vectors, and looks up only the images of the nearest. Returns `undefined` if so many of them
 * have been deleted that fewer images than `limit` are left, although others could have a sufficient score.
 */
async function searchExactly(
  db: Queryable,
  query: SimilarityQuery,
  options: SimilarityOptions,
): Promise<Result | undefined> {
  const count = options.limit + spareCount;
  const { rows } = await sql<NearImage & { searchedCount: number }>`
    SELECT near.*, (${countSearched(query)})::integer AS "searchedCount"
    FROM (SELECT 1) one LEFT JOIN (
      ${selectImages(query, options, selectAllNearest(query, count))}) near ON true`.execute(db);
  const nearImages = rows.filter(({ score }) => score !== null);
  const matches = chooseMatches(nearImages, options);
  const mayHaveMissed =
    matches.length < options.limit && nearImages.length === count && isGood(nearImages, options);
  if (mayHaveMissed) return undefined;
  return { matches, searchedCount: rows[0]?.searchedCount ?? 0, isExact: true };
}

/** Compares the vectors of all of the tenant's images that can be found. Takes twice as long as `searchExactly`. */
async function searchAllImages(
  db: Queryable,
  { tenantId, space, vector, excludedContentHash }: SimilarityQuery,
  { limit, threshold, metric }: SimilarityOptions,
): Promise<Result> {
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

/** Searches for so many more images than were asked for, because some are excluded or deleted. */
const spareCount = 50;

/** Stored content that is near. `id` is `null` if no image with this content can be found. */
interface NearImage {
  readonly id: number | null;
  readonly score: number;
}

/**
 * Searches with the tenant's index. Returns `undefined` if fewer images were found than `limit`, although some that were not
 * found could have a sufficient score.
 */
async function searchIndex(
  db: Queryable,
  query: SimilarityQuery,
  options: SimilarityOptions,
  { vectors, efSearch }: VectorIndex,
): Promise<Result | undefined> {
  const count = Math.min(maxEfSearch, options.limit + spareCount);
  const nearImages = await db.transaction().execute(async (transaction) => {
    await useIndex(transaction, Math.max(count, efSearch));
    const { rows } = await sql<NearImage>`
      ${selectImages(query, options, selectNearest(query, count))}`.execute(transaction);
    return rows;
  });
  const matches = chooseMatches(nearImages, options);
  const mayHaveMissed =
    matches.length < options.limit && (nearImages.length < count || isGood(nearImages, options));
  return mayHaveMissed ? undefined : { matches, searchedCount: vectors, isExact: false };
}

/** Returns the statement that yields a `NearImage` for each row of `nearest`. */
function selectImages(
  { tenantId, vector, excludedContentHash }: SimilarityQuery,
  { metric }: SimilarityOptions,
  nearest: RawBuilder<unknown>,
): RawBuilder<unknown> {
  return sql`
    SELECT i.id, near.score
    FROM (SELECT content_hash, ${selectScore(metric, sql`vector`, sql`${vector}::halfvec`)} AS score
      FROM ${nearest} OFFSET 0) near
    LEFT JOIN images i ON i.tenant_id = ${tenantId} AND i.content_hash = near.content_hash AND ${canBeFound}
      AND near.content_hash <> ${excludedContentHash}`;
}

function chooseMatches(
  nearImages: readonly NearImage[],
  { limit, threshold }: SimilarityOptions,
): SimilarityMatch[] {
  return nearImages
    .flatMap(({ id, score }) => (id === null || score < threshold ? [] : [{ id, score }]))
    .toSorted((a, b) => b.score - a.score || a.id - b.id)
    .slice(0, limit);
}

/** Whether even the farthest of these has a sufficient score, so that others may have one, too. */
function isGood(nearImages: readonly NearImage[], { threshold }: SimilarityOptions): boolean {
  return nearImages.every(({ score }) => score >= threshold);
}

/** Table expression for the nearest rows of `embeddings`, found by comparing all of the tenant. */
function selectAllNearest({ tenantId, space, vector }: SimilarityQuery, count: number): RawBuilder<unknown> {
  return sql`(SELECT content_hash, vector FROM embeddings WHERE tenant_id = ${tenantId} AND space = ${space}
    ORDER BY vector <#> ${vector}::halfvec LIMIT ${count}) nearest`;
}

/**
 * Query for the number of images that an exact search compares. Counts all vectors, and subtracts those of images that cannot
 * be found: joining all vectors with their images would take longer than comparing them.
 */
function countSearched({ tenantId, space, excludedContentHash }: SimilarityQuery): RawBuilder<number> {
  const ofTenant = sql`e.tenant_id = ${tenantId} AND e.space = ${space} AND e.content_hash <> ${excludedContentHash}`;
  return sql`
    SELECT (SELECT count(*) FROM embeddings e WHERE ${ofTenant}) - count(*) FROM (
      SELECT content_hash FROM images WHERE tenant_id = ${tenantId} AND deleted_at IS NOT NULL
      UNION
      SELECT content_hash FROM images WHERE tenant_id = ${tenantId} AND deleted_at IS NULL AND status <> 'completed') hidden
    WHERE EXISTS (SELECT 1 FROM embeddings e WHERE ${ofTenant} AND e.content_hash = hidden.content_hash)
      AND NOT EXISTS (SELECT 1 FROM images i
        WHERE i.tenant_id = ${tenantId} AND i.content_hash = hidden.content_hash AND ${canBeFound})`;
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
