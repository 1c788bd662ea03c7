import type { EmbeddingQueries, SimilarRows } from '../db/images/embeddings.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import type { SimilarityOptions, SimilaritySearch } from '../model/similarity.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { priorities } from './priorities.ts';
import { describeState, notFound } from './retrieve-image.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'findBare' | 'listByIds'>;
  readonly embeddings: Pick<EmbeddingQueries, 'similarToContent'>;
  readonly jobs: Pick<JobQueries, 'requeue'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  /** Name of the space that descriptors of this version lie in. */
  readonly space: string;
}

/**
 * Finds images of the same tenant that look similar, best first, without the image itself and its exact copies.
 * @throws {AppError} `image_not_found`; `fingerprint_not_ready` while the image is in work, or after it failed.
 */
export type FindSimilar = (
  principal: Principal,
  reference: ImageRef,
  options: SimilarityOptions,
) => Promise<SimilaritySearch & { readonly image: Image }>;

/** @see FindSimilar */
export function makeFindSimilar(deps: Dependencies): FindSimilar {
  const { images, embeddings, space } = deps;
  return async (principal, reference, options) => {
    const image = await images.findBare(principal, reference);
    if (!image) throw notFound(reference);
    if (image.status !== 'completed' || image.contentHash === null) throw notDescribed(image);
    const rows = await embeddings.similarToContent(image.tenantId, image.contentHash, space, options);
    if (!rows) return describeAgain(deps, image);
    return { image, ...(await showSimilar(images, principal, rows)) };
  };
}

/** The images that a search found, with their scores. */
export async function showSimilar(
  images: Pick<ImageQueries, 'listByIds'>,
  principal: Principal,
  { found, searched }: SimilarRows,
): Promise<SimilaritySearch> {
  const scores = new Map(found.map(({ id, score }) => [id, Math.round(score * 1e4) / 1e4]));
  const shown = await images.listByIds(principal, [...scores.keys()]);
  const similar = shown.map((image) => ({ image, score: scores.get(image.id) ?? 0 }));
  return { similar, searched, exact: true };
}

/** An image from before this version of the descriptor gets it now. */
async function describeAgain({ jobs, queue }: Dependencies, image: Image): Promise<never> {
  const job = await jobs.requeue(image.id, priorities.single);
  if (job) queue.wake([job]);
  throw new AppError(
    'fingerprint_not_ready',
    `The descriptor of image ${image.id} is being made from its original; ask again in a moment.`,
  );
}

function notDescribed(image: Image): AppError {
  return new AppError(
    'fingerprint_not_ready',
    `Image ${image.id} has no descriptor: ${describeState(image)}`,
  );
}
