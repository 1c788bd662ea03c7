import type { Image, NearDuplicate } from './image.ts';
import type { SimilarityParts } from './similarity-score.ts';

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
  /** From 0 (unrelated images) to 1 (identical images) unless a metric was chosen; see `similarityMetrics`. */
  readonly score: number;
  /** How the score came about; `null` if the embedding is a model's, which has no parts. */
  readonly explanation: ScoreExplanation | null;
}

/** How the score of a similar image came about. */
export interface ScoreExplanation {
  /** Similarity of the two images themselves in each respect. */
  readonly parts: SimilarityParts;
  /** Id of the image that led to an indirect match; `null` if the parts account for the score. */
  readonly via: number | null;
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
  /** How whole vectors are compared. Default: the built-in embedding is compared part by part, a model's by cosine. */
  readonly metric?: SimilarityMetric | undefined;
}

/** An image that has the same bytes as another one, or forms a pair with it. */
export interface Duplicate extends Omit<NearDuplicate, 'id' | 'uuid'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
