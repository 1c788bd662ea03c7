import type { Image, NearDuplicate } from './image.ts';

/** An image that resembles the query image. */
export interface SimilarImage {
  readonly image: Image;
  /** Cosine similarity of the embeddings, from 0 (unrelated images) to 1 (identical images). */
  readonly score: number;
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

/** An image that has the same bytes as another one, or forms a pair with it. */
export interface Duplicate extends Omit<NearDuplicate, 'id' | 'uuid'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
