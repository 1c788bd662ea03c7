import type { Image, NearDuplicate } from './image.ts';

/**
 * How the score of two embeddings is computed. They have unit length, so all metrics give the same order.
 * - `cosine`: cosine similarity, from 0 (unrelated images) to 1 (identical images)
 * - `ip`: inner product, from -1 to 1
 * - `l2`: 1 ÷ (1 + Euclidean distance), from ⅓ to 1
 */
export const similarityMetrics = ['cosine', 'l2', 'ip'] as const;

/** @see similarityMetrics */
export type SimilarityMetric = (typeof similarityMetrics)[number];

/** An image that resembles the query image. */
export interface SimilarImage {
  readonly image: Image;
  /** See `similarityMetrics`. */
  readonly score: number;
}

/** Result of a similarity search. */
export interface SimilaritySearch {
  /** Similar images, most similar first. */
  readonly similar: readonly SimilarImage[];
  /** Number of images that were searched. If the search was not exact, it is the number at the last count. */
  readonly searched: number;
  /** Whether every image was compared. An approximate index may miss some images. */
  readonly exact: boolean;
}

/** Options of a similarity search. */
export interface SimilarityOptions {
  /** Maximum number of results. */
  readonly limit: number;
  /** Minimum score. */
  readonly threshold: number;
  readonly metric: SimilarityMetric;
}

/** An image that has the same bytes as another one, or forms a pair with it. */
export interface Duplicate extends Omit<NearDuplicate, 'id' | 'uuid'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
