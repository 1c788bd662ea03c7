import type { PurgeQueries } from '../../db/purge/purging.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';
import type { PurgeTally } from '../../model/purge.ts';
import type { ConfirmPurge } from './confirm-purge.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'deleted' | 'deletedFigures'>;
  readonly removeImages: RemoveImages;
  readonly confirmPurge: ConfirmPurge;
  readonly logger: Logger;
}

/** What is to be purged. */
export interface DeletedPurge {
  readonly dryRun: boolean;
  /** Tokens that confirm it, if required; a dry run needs none. */
  readonly confirmTokens?: readonly string[];
  /** Images that were deleted at least this long ago. */
  readonly days: number;
}

/** What a purge of deleted images would remove, or removed. */
export interface DeletedPurgeReport extends PurgeTally {
  readonly dryRun: boolean;
  readonly cutoff: Date;
  /** Renditions that are older than the cutoff, of living images too. */
  readonly renditionsFound: number;
  /** Of these, those whose image was deleted before the cutoff. */
  readonly renditionsToDelete: number;
  readonly imagesToDelete: number;
  /** What removing all of them would free, as it was found before. */
  readonly bytesToDelete: number;
  /** Deleted images that are left because the time of one call was over; call again. */
  readonly remaining: number;
}

/**
 * Phase two of deletion: removes images that were deleted long enough ago, with the files that no other image uses.
 * @throws {AppError} `purge_refused` if confirmation is required and missing
 */
export type PurgeDeleted = (principal: Principal, purge: DeletedPurge) => Promise<DeletedPurgeReport>;

/** Candidates that are looked up at once while they are removed. */
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
    const found = { dryRun, ...figures, imagesToDelete: images, bytesToDelete: bytes };
    if (dryRun) return { ...found, images: 0, renditions: 0, files: 0, bytes: 0, errors: [], remaining: 0 };
    const { isComplete, ...tally } = await removeImages(
      (after) => purging.deleted(tenantId, figures.cutoff, { limit: pageSize, after }),
      { deletedBefore: figures.cutoff },
    );
    logger.info(
      { ...tally, days, ...whoCalled(principal) },
      `a purge removed ${tally.images} deleted images`,
    );
    const remaining = isComplete ? 0 : (await purging.deletedFigures(tenantId, days)).images;
    return { ...found, ...tally, remaining };
  };
}
