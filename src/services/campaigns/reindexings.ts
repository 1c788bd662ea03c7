import type { CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { DescriptionVersion } from '../../db/campaigns/reindexings.ts';
import type { Logger } from '../../model/logger.ts';
import { systemPrincipal } from '../../model/principal.ts';

interface Dependencies {
  readonly campaigns: Pick<
    CampaignQueries,
    'countOutdatedDescriptions' | 'createReindexing' | 'hasReindexing'
  >;
  readonly version: DescriptionVersion;
  readonly logger: Logger;
}

/**
 * Starts a reindexing of all tenants if images were described by another version of the fingerprint or in another embedding
 * space, unless there already was a reindexing for the current ones: an operator may have cancelled it.
 */
export type StartReindexing = () => Promise<void>;

/** @see StartReindexing */
export function makeStartReindexing({ campaigns, version, logger }: Dependencies): StartReindexing {
  return async () => {
    if (await campaigns.hasReindexing(version)) return;
    const images = await campaigns.countOutdatedDescriptions(null, version);
    if (images === 0) return;
    const id = await campaigns.createReindexing(systemPrincipal, { ...version, tenantId: null, images });
    logger.info(
      { campaign: id, images, space: version.space },
      `reindexing ${id} has started: ${images} images were described by another version; they are searched as before until it is completed`,
    );
  };
}
