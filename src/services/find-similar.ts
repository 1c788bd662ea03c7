import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import { priorities } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import type { SimilarImage, SimilarityOptions, SimilaritySearch } from '../model/similarity.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { describeState, imageNotFound } from './image-errors.ts';
import { type RankedMatch, type RankSimilar, toCandidateOptions } from './rank-similar.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findWithoutRenditions' | 'listByIds'>;
  readonly embeddings: Pick<EmbeddingQueries, 'findSimilarToContent'>;
  readonly rankSimilar: RankSimilar;
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
  const { images, embeddings, rankSimilar, space } = deps;
  return async (principal, imageRef, options) => {
    const image = await images.findWithoutRenditions(principal, imageRef);
    if (!image) throw imageNotFound(imageRef);
    if (image.status !== 'completed' || image.contentHash === null) throw noEmbedding(image);
    const { tenantId, contentHash } = image;
    const found = await embeddings.findSimilarToContent(tenantId, contentHash, space, (searchedSpace) =>
      toCandidateOptions(searchedSpace, options),
    );
    if (!found) return requeueAndThrow(deps, image);
    const request = { tenantId, space: found.space, query: image.id, candidates: found.matches };
    const similar = await loadSimilar(images, principal, await rankSimilar(request, options));
    return { image, similar, searched: found.searchedCount, exact: found.isExact };
  };
}

/** Loads the images of a search result and combines them with their scores. */
export async function loadSimilar(
  images: Pick<ImageQueries, 'listByIds'>,
  principal: Principal,
  matches: readonly RankedMatch[],
): Promise<readonly SimilarImage[]> {
  const matchById = new Map(matches.map((match) => [match.id, match]));
  const loadedImages = await images.listByIds(principal, [...matchById.keys()]);
  return loadedImages.flatMap((image) => {
    const match = matchById.get(image.id);
    return match ? [{ image, score: round(match.score), explanation: match.explanation }] : [];
  });
}

function round(score: number): number {
  return Math.round(score * 1e4) / 1e4;
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
