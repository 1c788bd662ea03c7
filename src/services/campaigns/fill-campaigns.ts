import type { CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { Logger } from '../../model/logger.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { findOutdatedVariants, listExpectedVariants } from './outdated-variants.ts';

interface Dependencies {
  readonly campaigns: Pick<CampaignQueries, 'listOpen' | 'fill' | 'finish'>;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly logger: Logger;
  readonly maxPending?: number;
}

/**
 * Adds jobs to running campaigns, and finishes those whose last job has ended. Safe to call in several processes at the same
 * time.
 */
export type FillCampaigns = () => Promise<void>;

/**
 * Maximum number of pending jobs of a campaign: few enough to be removed quickly on a pause and to keep the queue short, and
 * enough for a few seconds of work.
 */
const defaultMaxPending = 200;

/** @see FillCampaigns */
export function makeFillCampaigns(deps: Dependencies): FillCampaigns {
  const { campaigns, presets, queue, logger, maxPending = defaultMaxPending } = deps;
  return async () => {
    const openCampaigns = await campaigns.listOpen();
    // A process that does not understand the presets in force cannot tell which renditions are outdated.
    const allPresets = openCampaigns.length > 0 ? await presets.forRendering() : [];
    for (const { id, presets: names } of openCampaigns) {
      const campaignPresets = allPresets.filter(({ name }) => names.includes(name));
      const jobs = await campaigns.fill(id, {
        expected: listExpectedVariants(campaignPresets),
        isOutdated: ({ renditions, focalPoint }) =>
          findOutdatedVariants(campaignPresets, renditions, focalPoint).length > 0,
        maxPending,
      });
      queue.wake(jobs.slice(0, 100));
    }
    for (const { id, state, done, failed } of await campaigns.finish())
      logger.info(
        { campaign: id, done, failed },
        `re-rendering ${id} is ${state}: ${done} images done, ${failed} failed`,
      );
  };
}
