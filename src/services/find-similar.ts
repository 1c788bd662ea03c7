import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { SimilarityMatches } from '../db/images/similarity-search.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import { priorities } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { SimilarityOptions, SimilaritySearch } from '../model/similarity.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { describeState, imageNotFound } from './image-errors.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions' | 'listByIds'>;
  readonly embeddings: Pick<EmbeddingQueries, 'findSimilarToContent'>;
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  /** Name of the current embedding space. */
  readonly space: string;
}

/**
 * Finds images of the same tenant that are similar to an image, best first. Omits the image itself and its exact
 * copies.
 * @throws {AppError} `image_not_found`; `fingerprint_not_ready` while the image has no embedding.
 */
export type FindSimilar = (
  principal: Principal,
  imageRef: ImageRef,
  options: SimilarityOptions,
) => Promise<SimilaritySearch & { readonly image: Image }>;

/** @see FindSimilar */
export function makeFindSimilar(deps: Dependencies): FindSimilar {
  const { images, embeddings, space } = deps;
  return async (principal, imageRef, options) => {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    if (image.status !== 'completed' || image.contentHash === null) throw noEmbedding(image);
    const similarityMatches = await embeddings.findSimilarToContent(
      image.tenantId,
      image.contentHash,
      space,
      options,
    );
    if (!similarityMatches) return requeueAndThrow(deps, image);
    return { image, ...(await loadSimilar(images, principal, similarityMatches)) };
  };
}

/** Loads the images of a search result and combines them with their scores. */
export async function loadSimilar(
  images: Pick<ImageQueries, 'listByIds'>,
  principal: Principal,
  { matches, searchedCount, isExact }: SimilarityMatches,
): Promise<SimilaritySearch> {
  const scores = new Map(matches.map(({ id, score }) => [id, Math.round(score * 1e4) / 1e4]));
  const loadedImages = await images.listByIds(principal, [...scores.keys()]);
  const similar = loadedImages.map((image) => ({ image, score: scores.get(image.id) ?? 0 }));
  return { similar, searched: searchedCount, exact: isExact };
}

/** Requeues an image whose embedding was computed by an older version. Always throws `fingerprint_not_ready`. */
async function requeueAndThrow({ jobs, queue }: Dependencies, image: Image): Promise<never> {
  const job = await jobs.requeue(image.id, priorities.single);
  if (job) queue.wake([job]);
  throw new AppError(
    'fingerprint_not_ready',
    `The embedding of image ${image.id} is being computed from its original. Try again in a moment.`,
  );
}

function noEmbedding(image: Image): AppError {
  return new AppError('fingerprint_not_ready', `Image ${image.id} has no embedding: ${describeState(image)}`);
}
