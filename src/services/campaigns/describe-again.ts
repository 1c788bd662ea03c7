import type { CampaignQueries } from '../../db/campaigns/campaigns.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import type { JobQueries } from '../../db/jobs/job-queries.ts';
import type { DecoderPool } from '../../imaging/pool/decoder-pool.ts';
import type { ClaimedJob } from '../../model/job.ts';
import type { PictureLimits } from '../../model/picture.ts';
import type { Storage } from '../../storage/storage.ts';
import type { RunRenderJob } from '../delivery/run-render-job.ts';
import { atStage } from '../job-failures.ts';
import { openOriginal } from '../open-original.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly jobs: Pick<JobQueries, 'completeDescription' | 'completeRender'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly decoders: Pick<DecoderPool, 'describe'>;
  readonly limits: PictureLimits;
}

/** Runs a job of a reindexing: computes the fingerprint and the embedding of an image from its original. */
type DescribeAgain = (job: ClaimedJob, signal: AbortSignal) => Promise<'rendered' | 'lease-lost'>;

/** @see DescribeAgain */
function makeDescribeAgain(deps: Dependencies): DescribeAgain {
  const { jobs, decoders, limits } = deps;
  return async (job, signal) => {
    const { original } = job;
    if (!original) return (await jobs.completeRender(job)) ? 'rendered' : 'lease-lost';
    const description = await atStage('decode', async () => {
      const copy = await openOriginal(deps, job.imageId, original.key);
      try {
        return await decoders.describe({
          path: copy.path,
          limits,
          priority: job.priority,
          tenant: job.tenantId,
          signal,
        });
      } finally {
        await copy.release();
      }
    });
    return (await jobs.completeDescription(job, description)) ? 'rendered' : 'lease-lost';
  };
}

/** Runs a `render` job: describes the image again if the job belongs to a reindexing, and makes variants otherwise. */
export function makeRunCampaignJob(
  deps: Dependencies & { readonly campaigns: Pick<CampaignQueries, 'findDescriptionVersion'> },
  runRenderJob: RunRenderJob,
): RunRenderJob {
  const describeAgain = makeDescribeAgain(deps);
  return async (job, signal) => {
    const { campaignId } = job;
    const version = campaignId === null ? undefined : await deps.campaigns.findDescriptionVersion(campaignId);
    return version ? describeAgain(job, signal) : runRenderJob(job, signal);
  };
}
