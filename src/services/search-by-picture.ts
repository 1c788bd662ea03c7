import type { EmbeddingQueries } from '../db/images/embeddings.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { SimilarityMatches } from '../db/images/similarity-search.ts';
import type { TenantQueries } from '../db/tenants.ts';
import type { DecoderPool, DescribedPicture } from '../imaging/pool/decoder-pool.ts';
import { isDuplicateTier, showPairs } from '../model/duplicates.ts';
import type { Embedding } from '../model/fingerprint.ts';
import { priorities } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Principal } from '../model/principal.ts';
import type { Duplicate, SimilarityOptions, SimilaritySearch } from '../model/similarity.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import { toExactDuplicate, loadNearDuplicates } from './find-duplicates.ts';
import type { FindNearDuplicates } from './find-near-duplicates.ts';
import { loadSimilar } from './find-similar.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { type RankedMatch, type RankSimilar, toCandidateOptions } from './rank-similar.ts';
import { findTenant } from './tenants.ts';

interface Dependencies {
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly images: Pick<ImageQueries, 'listByContent' | 'listByIds'>;
  readonly embeddings: Pick<EmbeddingQueries, 'findSimilarToPicture'>;
  readonly rankSimilar: RankSimilar;
  readonly findNearDuplicates: FindNearDuplicates;
  readonly inspectPicture: InspectPicture;
  readonly decoders: Pick<DecoderPool, 'describe'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly limits: PictureLimits;
}

/** A tenant's images that resemble a picture. */
export interface PictureSearch extends SimilaritySearch {
  /** Exact copies, followed by near-duplicates (nearest first). */
  readonly duplicates: readonly Duplicate[];
}

/**
 * Searches a tenant's images using an uploaded picture that is not stored. Discards the received file.
 * @throws {AppError} `tenant_not_found`, `invalid_tenant`, `tenant_not_allowed`, and the errors of `InspectPicture`.
 */
export type SearchByPicture = (
  principal: Principal,
  tenantName: string | undefined,
  file: ReceivedFile,
  options: SimilarityOptions,
) => Promise<PictureSearch>;

/** @see SearchByPicture */
export function makeSearchByPicture(deps: Dependencies): SearchByPicture {
  const { images, findNearDuplicates, staging } = deps;
  return async (principal, tenantName, file, options) => {
    try {
      const { id: tenantId } = await findTenant(deps.tenants, principal, tenantName);
      const { fingerprint, embedding } = await describe(deps, file, tenantId);
      const copies = await images.listByContent(tenantId, file.contentHash);
      const { matches } = await findNearDuplicates({
        tenantId,
        fingerprint,
        contentHash: file.contentHash,
        path: file.path,
        priority: priorities.inline,
      });
      // If the file is stored as an image, the verdicts on this image count.
      const shownMatches = showPairs(matches).filter(({ tier }) => isDuplicateTier(tier));
      const nearDuplicates = await loadNearDuplicates(images, principal, shownMatches);
      const found = await findSimilarToPicture(deps, tenantId, embedding, file.contentHash, options);
      return {
        similar: await loadSimilar(images, principal, found.matches),
        searched: found.searchedCount,
        exact: found.isExact,
        duplicates: [...copies.map(toExactDuplicate), ...nearDuplicates],
      };
    } finally {
      await staging.discard(file.path);
    }
  };
}

async function findSimilarToPicture(
  { embeddings, rankSimilar }: Dependencies,
  tenantId: number,
  embedding: Embedding,
  excludedContentHash: string,
  options: SimilarityOptions,
): Promise<Omit<SimilarityMatches, 'matches'> & { readonly matches: readonly RankedMatch[] }> {
  const { space, vector } = embedding;
  const found = await embeddings.findSimilarToPicture(
    tenantId,
    embedding,
    excludedContentHash,
    toCandidateOptions(space, options),
  );
  const request = { tenantId, space: found.space, query: vector, candidates: found.matches };
  return { ...found, matches: await rankSimilar(request, options) };
}

async function describe(
  { inspectPicture, decoders, limits }: Dependencies,
  file: ReceivedFile,
  tenant: number,
): Promise<DescribedPicture> {
  await inspectPicture(file, tenant);
  return decoders.describe({ path: file.path, limits, priority: priorities.inline, tenant });
}
