import type { AuditQueries } from '../../db/audit.ts';
import type { PurgeQueries } from '../../db/purge/purging.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, callerFields } from '../../model/principal.ts';
import type { PurgeTally } from '../../model/purge.ts';
import { findTenantIdOrAll } from '../tenants.ts';
import type { CheckPurgeConfirmation } from './check-purge-confirmation.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'listDeleted' | 'summarizeDeleted'>;
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly audit: Pick<AuditQueries, 'recordPurge'>;
  readonly removeImages: RemoveImages;
  readonly checkPurgeConfirmation: CheckPurgeConfirmation;
  readonly logger: Logger;
}

/** Selects deleted images to purge. */
export interface PurgeDeletedOptions {
  readonly dryRun: boolean;
  /** Tokens that confirm the purge. Not required for a dry run. */
  readonly confirmTokens?: readonly string[];
  /** Restricts the purge to one tenant. */
  readonly tenantName?: string | undefined;
  /** Minimum number of days since the deletion. */
  readonly days: number;
}

/** Report of a purge of deleted images: what it removed or, in a dry run, what a purge would remove. */
export interface PurgeDeletedReport extends PurgeTally {
  readonly dryRun: boolean;
  /** Images that were deleted before this time are purged. */
  readonly cutoff: Date;
  /** Renditions created before the cutoff, including those of images that are not deleted. */
  readonly renditionsFound: number;
  /** Renditions of the images that were deleted before the cutoff. */
  readonly renditionsToDelete: number;
  readonly imagesToDelete: number;
  /** Bytes that the purge would free, calculated before it starts. */
  readonly bytesToDelete: number;
  /** Images that were not purged because the request's time limit was reached. Repeat the request to purge them. */
  readonly remaining: number;
}

/**
 * Permanently removes images that were deleted long enough ago, together with the files that no other image uses.
 * @throws {AppError} `purge_refused` if confirmation is required but missing or wrong; `tenant_not_found`.
 */
export type PurgeDeleted = (principal: Principal, purge: PurgeDeletedOptions) => Promise<PurgeDeletedReport>;

/** Number of candidates per query. */
const pageSize = 200;

/** @see PurgeDeleted */
export function makePurgeDeleted({
  purging,
  tenants,
  audit,
  removeImages,
  checkPurgeConfirmation,
  logger,
}: Dependencies): PurgeDeleted {
  return async (principal, { dryRun, confirmTokens = [], tenantName, days }) => {
    if (!dryRun) checkPurgeConfirmation(principal, { scope: 'deleted', tokens: confirmTokens });
    const tenantId = await findTenantIdOrAll(tenants, principal, tenantName);
    const { images, bytes, cutoff, ...renditionCounts } = await purging.summarizeDeleted(tenantId, days);
    const plan = { dryRun, cutoff, ...renditionCounts, imagesToDelete: images, bytesToDelete: bytes };
    if (dryRun) return { ...plan, images: 0, renditions: 0, files: 0, bytes: 0, errors: [], remaining: 0 };
    await audit.recordPurge(principal, tenantId, { images: 'deleted', deleted_for_days: days });
    const { isComplete, ...tally } = await removeImages(
      principal,
      (after) => purging.listDeleted(tenantId, cutoff, { limit: pageSize, after }),
      { deletedBefore: cutoff },
    );
    logger.info(
      { ...tally, days, tenant: tenantName ?? 'all', ...callerFields(principal) },
      `purge finished; deleted images removed: ${tally.images}`,
    );
    const remaining = isComplete ? 0 : (await purging.summarizeDeleted(tenantId, days)).images;
    return { ...plan, ...tally, remaining };
  };
}
