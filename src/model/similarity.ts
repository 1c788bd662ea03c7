import type { Image, NearDuplicate } from './image.ts';

/** An image that resembles the query image. */
export interface SimilarImage {
  readonly image: Image;
  /** Cosine similarity of the embeddings: 0 for unrelated images, 1 for identical ones. */
  readonly score: number;
}

/** Result of a similarity search. */
export interface SimilaritySearch {
  /** Best first. */
  readonly similar: readonly SimilarImage[];
  /** Number of images that were compared. */
  readonly searched: number;
  /** Whether every image was compared; an index may miss some. */
  readonly exact: boolean;
}

/** Options of a similarity search. */
export interface SimilarityOptions {
  /** Maximum number of results. */
  readonly limit: number;
  /** Minimum score. */
  readonly threshold: number;
}

/** An image with the same picture, byte for byte or nearly. */
export interface Duplicate extends Pick<NearDuplicate, 'distance' | 'difference' | 'reason'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
