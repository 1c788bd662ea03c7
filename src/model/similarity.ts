import type { Image, NearDuplicate } from './image.ts';

/** An image that looks similar to the one that was asked about. */
export interface SimilarImage {
  readonly image: Image;
  /** Cosine of the two descriptors: 0 nothing in common, 1 the same. */
  readonly score: number;
}

/** Result of a search by similarity. */
export interface SimilaritySearch {
  /** Best first. */
  readonly similar: readonly SimilarImage[];
  /** Pictures that were compared. */
  readonly searched: number;
  /** Whether every picture was compared; an index may leave some out. */
  readonly exact: boolean;
}

/** How many results are wanted, and from which score on. */
export interface SimilarityOptions {
  readonly limit: number;
  readonly threshold: number;
}

/** An image that shows the same picture, byte for byte or nearly. */
export interface Duplicate extends Pick<NearDuplicate, 'distance' | 'difference' | 'reason'> {
  readonly image: Image;
  readonly kind: 'exact' | 'near';
}
