import type { PurgeQueries, UnusedFilter } from '../../db/purge/purging.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';
import type { PurgeCandidate, PurgeTally } from '../../model/purge.ts';
import { findTenant } from '../tenants.ts';
import type { ConfirmPurge } from './confirm-purge.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'listUnused' | 'countUnused' | 'tenantsWithoutReferences'>;
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly removeImages: RemoveImages;
  readonly confirmPurge: ConfirmPurge;
  readonly logger: Logger;
}

/** Selects unused images to purge. */
export interface UnusedPurge {
  readonly dryRun: boolean;
  /** Tokens that confirm the purge. A dry run needs none. */
  readonly confirmTokens?: readonly string[];
  /** Restricts the purge to one tenant. */
  readonly tenantName?: string | undefined;
  /** Younger images are kept. */
  readonly minAgeDays: number;
}

/** What a purge of unused images removed; for a dry run, what it would remove. */
export interface UnusedPurgeReport extends PurgeTally {
  readonly dryRun: boolean;
  /** At most 1,000. */
  readonly candidates: readonly PurgeCandidate[];
  readonly candidatesTotal: number;
  /** Candidates that were not purged because the time limit of a call was reached. Call again for these. */
  readonly remaining: number;
  /** Sentences, such as that a tenant has never added references. */
  readonly warnings: readonly string[];
}

/**
 * Purges (hard) completed and failed images without references, and their files. Skips images that are being processed,
 * and imports without an original, which have no files. Each image is checked again in the transaction that removes it.
 * @throws {AppError} `purge_refused` unless it is confirmed; `tenant_not_found`.
 */
export type PurgeUnused = (principal: Principal, purge: UnusedPurge) => Promise<UnusedPurgeReport>;

/** Maximum number of candidates in a report. */
const maxListed = 1_000;

/** Candidates per query. */
const pageSize = 200;

/** @see PurgeUnused */
export function makePurgeUnused(deps: Dependencies): PurgeUnused {
  const { purging, removeImages, logger } = deps;
  return async (principal, { dryRun, confirmTokens = [], tenantName, minAgeDays }) => {
    if (!dryRun) deps.confirmPurge(principal, { scope: 'unused', tokens: confirmTokens });
    const filter = { tenantId: await tenantIdOf(deps, principal, tenantName), minAgeDays };
    const candidates = await purging.listUnused(filter, { limit: maxListed });
    const planned = {
      dryRun,
      candidates,
      candidatesTotal: await purging.countUnused(filter),
      warnings: await warningsOf(deps, filter),
    };
    if (dryRun) return { ...planned, ...nothing, remaining: 0 };
    const removal = await removeImages((after) => purging.listUnused(filter, { limit: pageSize, after }), {
      unusedForDays: minAgeDays,
    });
    const { isComplete, ...tally } = removal;
    logger.info(
      { ...tally, tenant: tenantName ?? 'all', ...whoCalled(principal) },
      `a purge removed ${tally.images} unused images`,
    );
    return { ...planned, ...tally, remaining: isComplete ? 0 : await purging.countUnused(filter) };
  };
}

const nothing: PurgeTally = { images: 0, renditions: 0, files: 0, bytes: 0, errors: [] };

/** Returns `null` for all tenants. */
async function tenantIdOf(
  { tenants }: Dependencies,
  principal: Principal,
  tenantName: string | undefined,
): Promise<number | null> {
  if (tenantName === undefined) return principal.tenantId;
  return (await findTenant(tenants, principal, tenantName)).id;
}

async function warningsOf({ purging }: Dependencies, { tenantId }: UnusedFilter): Promise<string[]> {
  const names = await purging.tenantsWithoutReferences(tenantId);
  return names.map(
    (name) =>
      `The tenant ${JSON.stringify(name)} has never used references, so every one of its images is a candidate.`,
  );
}
