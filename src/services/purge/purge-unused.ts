import type { PurgeQueries, UnusedFilter } from '../../db/purge/purging.ts';
import type { TenantQueries } from '../../db/tenants.ts';
import type { Logger } from '../../model/logger.ts';
import { type Principal, whoCalled } from '../../model/principal.ts';
import type { PurgeCandidate, PurgeTally } from '../../model/purge.ts';
import { findTenant } from '../find-tenant.ts';
import type { ConfirmPurge } from './confirm-purge.ts';
import type { RemoveImages } from './remove-images.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'unused' | 'countUnused' | 'tenantsWithoutReferences'>;
  readonly tenants: Pick<TenantQueries, 'find'>;
  readonly removeImages: RemoveImages;
  readonly confirmPurge: ConfirmPurge;
  readonly logger: Logger;
}

/** What is to be purged. */
export interface UnusedPurge {
  readonly dryRun: boolean;
  /** Tokens that confirm it; a dry run needs none. */
  readonly confirmTokens?: readonly string[];
  /** One tenant's images only. */
  readonly tenantName?: string | undefined;
  /** Images that are younger stay. */
  readonly minAgeDays: number;
}

/** What a purge of unused images would remove, or removed. */
export interface UnusedPurgeReport extends PurgeTally {
  readonly dryRun: boolean;
  /** At most 1,000. */
  readonly candidates: readonly PurgeCandidate[];
  readonly candidatesTotal: number;
  /** Candidates that are left because the time of one call was over; call again. */
  readonly remaining: number;
  /** Sentences, such as that a tenant has never used references. */
  readonly warnings: readonly string[];
}

/**
 * Removes images that nobody uses, with their files: completed and failed ones without a reference. Images in work are
 * never taken, nor imports that never got an original: they hold no file. Each is looked at again at the moment of its removal.
 * @throws {AppError} `purge_refused` unless it is confirmed; `tenant_not_found`.
 */
export type PurgeUnused = (principal: Principal, purge: UnusedPurge) => Promise<UnusedPurgeReport>;

/** Candidates that a report lists. */
const listedCandidates = 1_000;

/** Candidates that are looked up at once while they are removed. */
const pageSize = 200;

/** @see PurgeUnused */
export function makePurgeUnused(deps: Dependencies): PurgeUnused {
  const { purging, removeImages, logger } = deps;
  return async (principal, { dryRun, confirmTokens = [], tenantName, minAgeDays }) => {
    if (!dryRun) deps.confirmPurge(principal, { scope: 'unused', tokens: confirmTokens });
    const filter = { tenantId: await scopeOf(deps, principal, tenantName), minAgeDays };
    const candidates = await purging.unused(filter, { limit: listedCandidates });
    const found = {
      dryRun,
      candidates,
      candidatesTotal: await purging.countUnused(filter),
      warnings: await warn(deps, filter),
    };
    if (dryRun) return { ...found, ...nothing, remaining: 0 };
    const removal = await removeImages((after) => purging.unused(filter, { limit: pageSize, after }), {
      unusedForDays: minAgeDays,
    });
    const { isComplete, ...tally } = removal;
    logger.info(
      { ...tally, tenant: tenantName ?? 'all', ...whoCalled(principal) },
      `a purge removed ${tally.images} unused images`,
    );
    return { ...found, ...tally, remaining: isComplete ? 0 : await purging.countUnused(filter) };
  };
}

const nothing: PurgeTally = { images: 0, renditions: 0, files: 0, bytes: 0, errors: [] };

async function scopeOf(
  { tenants }: Dependencies,
  principal: Principal,
  tenantName: string | undefined,
): Promise<number | null> {
  if (tenantName === undefined) return principal.tenantId;
  return (await findTenant(tenants, principal, tenantName)).id;
}

async function warn({ purging }: Dependencies, { tenantId }: UnusedFilter): Promise<string[]> {
  const names = await purging.tenantsWithoutReferences(tenantId);
  return names.map(
    (name) =>
      `The tenant ${JSON.stringify(name)} has never used references, so every one of its images is a candidate.`,
  );
}
