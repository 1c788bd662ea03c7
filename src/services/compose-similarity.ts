import type { FindNearDuplicates } from './find-near-duplicates.ts';
import { makeFindSimilar } from './find-similar.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { makeRankSimilar } from './rank-similar.ts';
import { makeSearchByPicture } from './search-by-picture.ts';
import type { ServiceConfig, ServiceParts } from './service-parts.ts';

interface SharedServices {
  readonly inspectPicture: InspectPicture;
  readonly findNearDuplicates: FindNearDuplicates;
}

/** Composes the services that search for similar images. */
export function composeSimilarity(
  { queries, queue, decoders, staging, space }: ServiceParts,
  { uploads: limits }: ServiceConfig,
  { inspectPicture, findNearDuplicates }: SharedServices,
) {
  const { tenants, images, embeddings, jobs } = queries;
  const rankSimilar = makeRankSimilar(queries);
  return {
    findSimilar: makeFindSimilar({ images, embeddings, rankSimilar, jobs, queue, space: space.name }),
    searchByPicture: makeSearchByPicture({
      tenants,
      images,
      embeddings,
      rankSimilar,
      findNearDuplicates,
      inspectPicture,
      decoders,
      staging,
      limits,
    }),
  };
}
