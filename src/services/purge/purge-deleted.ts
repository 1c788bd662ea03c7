import type { PurgeQueries } from '../../db/purge/purging.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';
import type { PurgeTally } from '../../model/purge.ts';
import type { ConfirmPurge } from './confirm-purge.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'listDeleted' | 'deletedFigures'>;
  readonly removeImages: RemoveImages;
  readonly confirmPurge: ConfirmPurge;
  readonly logger: Logger;
}

/** Selects deleted images to purge. */
export interface DeletedPurge {
  readonly dryRun: boolean;
  /** Tokens that confirm the purge. A dry run needs none. */
  readonly confirmTokens?: readonly string[];
  /** Minimum time since the deletion. */
  readonly days: number;
}

/** What a purge of deleted images removed; for a dry run, what it would remove. */
export interface DeletedPurgeReport extends PurgeTally {
  readonly dryRun: boolean;
  readonly cutoff: Date;
  /** Renditions made before the cutoff, including those of images that are not deleted. */
  readonly renditionsFound: number;
  /** Those among them whose image was deleted before the cutoff. */
  readonly renditionsToDelete: number;
  readonly imagesToDelete: number;
  /** Disk space that the purge would free, calculated before it starts. */
  readonly bytesToDelete: number;
  /** Images that were not purged because the time limit of a call was reached. Call again for these. */
  readonly remaining: number;
}

/**
 * Purges (hard) images that were deleted long enough ago, and the files that no other image uses.
 * @throws {AppError} `purge_refused` if confirmation is required and missing.
 */
export type PurgeDeleted = (principal: Principal, purge: DeletedPurge) => Promise<DeletedPurgeReport>;

/** Candidates per query. */
const pageSize = 200;

/** @see PurgeDeleted */
export function makePurgeDeleted({
  purging,
  removeImages,
  confirmPurge,
  logger,
}: Dependencies): PurgeDeleted {
  return async (principal, { dryRun, confirmTokens = [], days }) => {
    if (!dryRun) confirmPurge(principal, { scope: 'deleted', tokens: confirmTokens });
    const { tenantId } = principal;
    const { images, bytes, ...figures } = await purging.deletedFigures(tenantId, days);
    const planned = { dryRun, ...figures, imagesToDelete: images, bytesToDelete: bytes };
    if (dryRun) return { ...planned, images: 0, renditions: 0, files: 0, bytes: 0, errors: [], remaining: 0 };
    const { isComplete, ...tally } = await removeImages(
      (after) => purging.listDeleted(tenantId, figures.cutoff, { limit: pageSize, after }),
      { deletedBefore: figures.cutoff },
    );
    logger.info(
      { ...tally, days, ...whoCalled(principal) },
      `a purge removed ${tally.images} deleted images`,
    );
    const remaining = isComplete ? 0 : (await purging.deletedFigures(tenantId, days)).images;
    return { ...planned, ...tally, remaining };
  };
}
