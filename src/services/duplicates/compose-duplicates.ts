import { makeFindDuplicates } from '../find-duplicates.ts';
import type { RenditionCache } from '../rendition-cache.ts';
import type { ServiceParts } from '../service-parts.ts';
import type { Services } from '../services.ts';
import { makeDuplicateGroups } from './duplicate-groups.ts';
import { makeJudgePairs } from './judge-pairs.ts';

/** Composes the services for duplicates. */
export function composeDuplicates(
  { queries, logger }: Pick<ServiceParts, 'queries' | 'logger'>,
  cache: Pick<RenditionCache, 'evict'>,
): Pick<Services, 'findDuplicates' | 'judgePairs' | 'duplicateGroups'> {
  const { images, verdicts, duplicateGroups, resolutions } = queries;
  return {
    findDuplicates: makeFindDuplicates({ images }),
    judgePairs: makeJudgePairs({ images, verdicts }),
    duplicateGroups: makeDuplicateGroups({ images, groups: duplicateGroups, resolutions, cache, logger }),
  };
}
