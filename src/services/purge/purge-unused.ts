import type { AuditQueries } from '../../db/audit.ts';
import type { PurgeQueries, UnusedFilter } from '../../db/purge/purging.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, callerFields } from '../../model/principal.ts';
import type { PurgeCandidate, PurgeTally } from '../../model/purge.ts';
import { findTenantIdOrAll } from '../tenants.ts';
import type { CheckPurgeConfirmation } from './check-purge-confirmation.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'listUnused' | 'countUnused' | 'listTenantsWithoutReferences'>;
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly audit: Pick<AuditQueries, 'recordPurge'>;
  readonly removeImages: RemoveImages;
  readonly checkPurgeConfirmation: CheckPurgeConfirmation;
  readonly logger: Logger;
}

/** Selects unused images to purge. */
export interface PurgeUnusedOptions {
  readonly dryRun: boolean;
  /** Tokens that confirm the purge. Not required for a dry run. */
  readonly confirmTokens?: readonly string[];
  /** Restricts the purge to one tenant. */
  readonly tenantName?: string | undefined;
  /** Minimum age of an image; younger images are kept. */
  readonly minAgeDays: number;
}

/** Report of a purge of unused images: what it removed or, in a dry run, what a purge would remove. */
export interface PurgeUnusedReport extends PurgeTally {
  readonly dryRun: boolean;
  /** Up to 1,000 images that may be purged. */
  readonly candidates: readonly PurgeCandidate[];
  readonly candidatesTotal: number;
  /** Candidates that were not purged because the request's time limit was reached. Repeat the request to purge them. */
  readonly remaining: number;
  /** Warnings, one sentence each, for example if a tenant has never used references. */
  readonly warnings: readonly string[];
}

/**
 * Permanently removes completed and failed images without references, together with their files. Skips images that are
 * still being processed. Also skips imported images without an original, because they have no files. Checks each image
 * again in the transaction that removes it.
 * @throws {AppError} `purge_refused` if the purge is not confirmed; `tenant_not_found`.
 */
export type PurgeUnused = (principal: Principal, purge: PurgeUnusedOptions) => Promise<PurgeUnusedReport>;

/** Maximum number of candidates in a report. */
const maxListedCandidates = 1_000;

/** Number of candidates per query. */
const pageSize = 200;

/** @see PurgeUnused */
export function makePurgeUnused(deps: Dependencies): PurgeUnused {
  const { purging, removeImages, logger } = deps;
  return async (principal, { dryRun, confirmTokens = [], tenantName, minAgeDays }) => {
    if (!dryRun) deps.checkPurgeConfirmation(principal, { scope: 'unused', tokens: confirmTokens });
    const filter = { tenantId: await findTenantIdOrAll(deps.tenants, principal, tenantName), minAgeDays };
    const candidates = await purging.listUnused(filter, { limit: maxListedCandidates });
    const plan = {
      dryRun,
      candidates,
      candidatesTotal: await purging.countUnused(filter),
      warnings: await findWarnings(deps, filter),
    };
    if (dryRun) return { ...plan, ...emptyTally, remaining: 0 };
    await deps.audit.recordPurge(principal, filter.tenantId, { images: 'unused', min_age_days: minAgeDays });
    const removal = await removeImages(
      principal,
      (after) => purging.listUnused(filter, { limit: pageSize, after }),
      { unusedWithMinAgeDays: minAgeDays },
    );
    const { isComplete, ...tally } = removal;
    logger.info(
      { ...tally, tenant: tenantName ?? 'all', ...callerFields(principal) },
      `purge finished; unused images removed: ${tally.images}`,
    );
    return { ...plan, ...tally, remaining: isComplete ? 0 : await purging.countUnused(filter) };
  };
}

const emptyTally: PurgeTally = { images: 0, renditions: 0, files: 0, bytes: 0, errors: [] };

async function findWarnings({ purging }: Dependencies, { tenantId }: UnusedFilter): Promise<string[]> {
  const names = await purging.listTenantsWithoutReferences(tenantId);
  return names.map(
    (name) =>
      `The tenant ${JSON.stringify(name)} has never used references, so every one of its images is a candidate.`,
  );
}
