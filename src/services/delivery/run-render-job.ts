import { setTimeout as sleep } from 'node:timers/promises';
import type { ImageQueries } from '../../db/images/images.ts';
import type { JobQueries } from '../../db/jobs/job-queries.ts';
import { AppError } from '../../errors.ts';
import type { ImageWithRenditions } from '../../model/image.ts';
import type { ClaimedJob } from '../../model/job.ts';
import { eagerVariants, type Preset, type Variant } from '../../model/preset.ts';
import { systemPrincipal } from '../../model/principal.ts';
import type { PresetsInForce } from '../presets-in-force.ts';
import type { ClaimForJob } from './claim-for-job.ts';
import type { RenderVariants } from './render-variants.ts';
import type { ShareVariant } from './share-variant.ts';
import { type CurrentVariant, findOffered, isRecorded, toCurrentVariant } from './variants.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'find'>;
  readonly jobs: Pick<JobQueries, 'completeRender'>;
  readonly presets: Pick<PresetsInForce, 'forRendering'>;
  readonly renderVariants: RenderVariants;
  readonly shareVariant: ShareVariant;
  readonly claimForJob: ClaimForJob;
  /** Returns the names of the presets of a campaign. */
  readonly findCampaignPresets: (campaignId: number) => Promise<readonly string[]>;
}

/**
 * Runs a `render` job: makes those of its variants that are not recorded with their current recipe. Variants that have been
 * recorded are kept if a later one fails. Completes the job if the image has been removed.
 */
export type RunRenderJob = (job: ClaimedJob, signal: AbortSignal) => Promise<'rendered' | 'lease-lost'>;

/** Number of variants that are made from one decode, so that the time limit of a decoder suffices and little work is lost. */
const maxPerDecode = 3;

/** Pause while requests are making all variants that are missing. */
const busyPauseMs = 200;

/** Maximum number of attempts without progress, because the image changes or files are removed in the meantime. */
const maxIdleAttempts = 5;

/** @see RunRenderJob */
export function makeRunRenderJob(deps: Dependencies): RunRenderJob {
  return async (job, signal) => {
    let idleAttempts = 0;
    for (;;) {
      const image = await deps.images.find(systemPrincipal, { id: job.imageId });
      const missing = image?.status === 'completed' ? await listMissing(deps, job, image) : [];
      if (!image || missing.length === 0) return finish(deps, job);
      signal.throwIfAborted();
      const outcome = await makeClaimed(deps, job, image, missing, signal);
      if (outcome === 'lease-lost') return outcome;
      if (outcome === 'image-removed') return finish(deps, job);
      if (outcome === 'busy') {
        await sleep(busyPauseMs, undefined, { signal });
        continue;
      }
      idleAttempts = outcome === 'made' ? 0 : idleAttempts + 1;
      if (idleAttempts === maxIdleAttempts)
        throw new AppError(
          'unavailable',
          `Variants of image ${job.imageId} could not be recorded, because the image changed during each of ${maxIdleAttempts} attempts.`,
        );
    }
  };
}

async function finish({ jobs }: Dependencies, job: ClaimedJob): Promise<'rendered' | 'lease-lost'> {
  return (await jobs.completeRender(job)) ? 'rendered' : 'lease-lost';
}

/** Claims the first few missing variants, and makes those that are still missing after that. */
async function makeClaimed(
  deps: Dependencies,
  job: ClaimedJob,
  image: ImageWithRenditions,
  missing: readonly CurrentVariant[],
  signal: AbortSignal,
): Promise<'made' | 'image-removed' | 'lease-lost' | 'again' | 'busy'> {
  const claim = await deps.claimForJob(image.id, missing.slice(0, maxPerDecode));
  try {
    if (claim.variants.length === 0) return 'busy';
    // A request may have recorded some of them just before they were claimed.
    const reread = await deps.images.find(systemPrincipal, { id: image.id });
    const stillMissing = claim.variants.filter((variant) => !reread || !isRecorded(reread, variant));
    return stillMissing.length === 0 ? 'made' : await makeSome(deps, job, image, stillMissing, signal);
  } finally {
    await claim.release();
  }
}

/** Shares the first variant if possible; otherwise makes all of them. */
async function makeSome(
  { renderVariants, shareVariant }: Dependencies,
  job: ClaimedJob,
  image: ImageWithRenditions,
  missing: readonly CurrentVariant[],
  signal: AbortSignal,
): Promise<'made' | 'image-removed' | 'lease-lost' | 'again'> {
  const [first] = missing;
  if (first && (await shareVariant(image, first))) return 'made';
  const recorded = await renderVariants({
    image,
    variants: missing.map(({ variant }) => variant),
    priority: job.priority,
    purpose: 'intake',
    signal,
    job,
  });
  if (recorded === 'image-removed' || recorded === 'lease-lost') return recorded;
  return typeof recorded === 'string' ? 'again' : 'made';
}

async function listMissing(
  { presets, findCampaignPresets }: Dependencies,
  { variants, campaignId }: ClaimedJob,
  image: ImageWithRenditions,
): Promise<CurrentVariant[]> {
  const list = await presets.forRendering();
  const names = campaignId === null || variants ? [] : await findCampaignPresets(campaignId);
  const wanted = variants
    ? variants.flatMap((name) => findOffered(findPreset(list, name.preset), name) ?? [])
    : names.flatMap((name) => listOfCampaign(findPreset(list, name), image));
  return wanted
    .map((variant) => toCurrentVariant(variant, image))
    .filter((variant) => !isRecorded(image, variant));
}

function findPreset(presets: readonly Preset[], name: string): Preset | undefined {
  return presets.find((preset) => preset.name === name);
}

/** Returns the variants of a preset that an image has, or should have had since it was added. */
function listOfCampaign(preset: Preset | undefined, image: ImageWithRenditions): Variant[] {
  if (!preset) return [];
  const existing = image.renditions
    .filter((rendition) => rendition.preset === preset.name)
    .flatMap((rendition) => findOffered(preset, rendition) ?? []);
  const missing = eagerVariants(preset).filter(
    (eager) => !existing.some(({ format, density }) => format === eager.format && density === eager.density),
  );
  return [...existing, ...missing];
}
