import type { ListedVectorIndex, VectorIndexQueries } from '../../db/vector-indexes.ts';
import type { Logger } from '../../model/logger.ts';

interface Dependencies {
  readonly vectorIndexes: VectorIndexQueries;
  /** Number of images from which on a tenant has an index. */
  readonly minImages: number;
  readonly logger: Logger;
}

/** Makes, removes and checks the approximate indexes of large tenants. */
export interface VectorIndexSweeps {
  /** Builds the indexes of tenants that have become large, and removes those of tenants that are no longer. */
  readonly maintain: () => Promise<void>;
  /**
   * Compares the results of each index with exact results for a sample of stored images, and records the recall: the share of
   * the ten best images that the index finds. If it is too low, searches keep more candidates from then on.
   */
  readonly audit: () => Promise<void>;
}

/** Each index makes every write and every plan of a search a little slower. */
const maxIndexes = 100;

/** Number of stored images for which an audit compares the results. Each costs one exact search. */
const sampleSize = 20;
const resultCount = 10;

/** Recall below which searches keep twice as many candidates, and their maximum number. */
const minRecall = 0.95;
const maxEfSearch = 800;

/** @see VectorIndexSweeps */
export function makeVectorIndexSweeps({ vectorIndexes, minImages, logger }: Dependencies): VectorIndexSweeps {
  return {
    async maintain() {
      if (await vectorIndexes.isUnusable()) return;
      // An index is kept until the tenant has shrunk to half the number, so that it is not made and removed repeatedly.
      const groups = await vectorIndexes.listLargeGroups(Math.ceil(minImages / 2));
      const listed = new Map((await vectorIndexes.list()).map((index) => [keyOf(index), index]));
      for (const group of groups) {
        const index = listed.get(keyOf(group));
        listed.delete(keyOf(group));
        if (index?.isReady) await vectorIndexes.recordCount(group);
        else if (index || (group.vectors >= minImages && listed.size < maxIndexes)) {
          await vectorIndexes.build(group);
          logger.info(
            { tenant: group.tenantId, space: group.space, vectors: group.vectors },
            `built a similarity index of ${group.vectors} images`,
          );
        }
      }
      for (const index of listed.values()) await vectorIndexes.remove(index);
      await vectorIndexes.removeUnlisted();
    },

    async audit() {
      for (const index of await vectorIndexes.list())
        if (index.isReady) await auditIndex(vectorIndexes, logger, index);
    },
  };
}

function keyOf({ tenantId, space }: { readonly tenantId: number; readonly space: string }): string {
  return `${tenantId} ${space}`;
}

async function auditIndex(
  vectorIndexes: VectorIndexQueries,
  logger: Logger,
  index: ListedVectorIndex,
): Promise<void> {
  const shares: number[] = [];
  for (const contentHash of await vectorIndexes.sampleContent(index, sampleSize)) {
    const share = await vectorIndexes.measureRecall(index, contentHash, resultCount);
    if (share !== undefined) shares.push(share);
  }
  if (shares.length === 0) return;
  const recall = shares.reduce((sum, share) => sum + share, 0) / shares.length;
  const isLow = recall < minRecall;
  const efSearch = isLow ? Math.min(maxEfSearch, 2 * index.efSearch) : index.efSearch;
  await vectorIndexes.recordAudit(index, recall, efSearch);
  if (isLow)
    logger.warn(
      { tenant: index.tenant, space: index.space, recall, efSearch },
      `the similarity index of tenant ${index.tenant} finds ${Math.round(100 * recall)}% of the best images; searches now keep ${efSearch} candidates`,
    );
}
