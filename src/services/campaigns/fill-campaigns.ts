import type { CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { OpenCampaign } from '../../db/campaigns/fill.ts';
import type { DueJob } from '../../model/job.ts';
import type { Logger } from '../../model/logger.ts';
import type { Preset } from '../../model/preset.ts';
import type { WorkQueue } from '../../queue/queue.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import { findOutdatedVariants, listExpectedVariants } from './outdated-variants.ts';

interface Dependencies {
  readonly campaigns: Pick<
    CampaignQueries,
    'listOpen' | 'fill' | 'fillReindexing' | 'finish' | 'switchSpace'
  >;
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
    for (const campaign of openCampaigns) {
      const jobs = await addJobs(deps, campaign, allPresets, maxPending);
      queue.wake(jobs.slice(0, 100));
    }
    for (const { id, state, space, done, failed } of await campaigns.finish()) {
      if (space !== null && state === 'completed') await campaigns.switchSpace(id, space);
      logger.info(
        { campaign: id, done, failed },
        `${space === null ? 're-rendering' : 'reindexing'} ${id} is ${state}: ${done} images done, ${failed} failed`,
      );
    }
  };
}

/** Adds jobs for the next outdated images of a campaign. */
function addJobs(
  { campaigns }: Dependencies,
  { id, presets: names, space, fingerprintVersion }: OpenCampaign,
  allPresets: readonly Preset[],
  maxPending: number,
): Promise<DueJob[]> {
  if (space !== null && fingerprintVersion !== null)
    return campaigns.fillReindexing(id, { space, fingerprintVersion }, maxPending);
  const campaignPresets = allPresets.filter(({ name }) => names.includes(name));
  return campaigns.fill(id, {
    expected: listExpectedVariants(campaignPresets),
    isOutdated: ({ renditions, focalPoint }) =>
      findOutdatedVariants(campaignPresets, renditions, focalPoint).length > 0,
    maxPending,
  });
}
