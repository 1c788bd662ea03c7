import type { Image, NearDuplicate } from './image.ts';
import type { SimilarityParts } from './similarity-score.ts';

/** An image that resembles the query image. */
export interface SimilarImage {
  readonly image: Image;
  /** From 0 (unrelated images) to 1 (identical images). */
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
  /** Number of images that were compared. */
  readonly searched: number;
  /** Whether every image was compared. An index search may miss some images. */
  readonly exact: boolean;
}

/** Options of a similarity search. */
export interface SimilarityOptions {
  /** Maximum number of results. */
  readonly limit: number;
  /** Minimum score. */
  readonly threshold: number;
}

/** An image that shows exactly or nearly the same picture. */
export interface Duplicate extends Pick<NearDuplicate, 'distance' | 'difference' | 'reason'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
