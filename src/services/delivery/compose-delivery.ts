import type { ServiceConfig, ServiceParts } from '../service-parts.ts';
import type { RenditionCache } from '../rendition-cache.ts';
import { claimAll, makeClaimForJob } from './claim-for-job.ts';
import { claimNothing, makeClaimVariant } from './claim-variant.ts';
import { makeDeliver } from './deliver.ts';
import { makeLoadRendition } from './load-rendition.ts';
import { makeMadeFiles } from './made-files.ts';
import { makeMakeVariant } from './make-variant.ts';
import { makeOpenRendition } from './open-rendition.ts';
import { makeRenderQueue } from './render-queue.ts';
import { makeRenderVariants } from './render-variants.ts';
import { makeRunRenderJob } from './run-render-job.ts';
import { makeServedRenditions } from './served-renditions.ts';
import { makeShareVariant } from './share-variant.ts';

/** How long a request waits for a rendition that another process is making. */
const waitMs = 30_000;

/** Concurrent renditions per decoder: more than one, because a rendition that is being stored does not use a decoder. */
const slotsPerDecoder = 2;

/** Wires the services that find, make and open renditions. */
export function composeDelivery(parts: ServiceParts, config: ServiceConfig, cache: RenditionCache) {
  const { queries, storage, staging, decoders, presets, queue, metrics, logger, isOnlyProcess } = parts;
  const { images, jobs, variants, storedFiles } = queries;
  const madeFiles = makeMadeFiles(cache.maxFileBytes);
  const renderVariants = makeRenderVariants({
    images,
    variants,
    storedFiles,
    storage,
    staging,
    decoders,
    metrics,
    madeFiles,
    limits: config.uploads,
  });
  const shareVariant = makeShareVariant({ variants });
  const makeVariant = makeMakeVariant({
    variants,
    storage,
    renderVariants,
    shareVariant,
    claimVariant: isOnlyProcess
      ? claimNothing
      : makeClaimVariant({ claims: queries.variantClaims, logger, waitMs }),
    queue: makeRenderQueue(slotsPerDecoder * config.worker.concurrency, config.overload.maxWaitingRenderings),
  });
  const loadRendition = makeLoadRendition({ images, variants, presets, makeVariant });
  const openRendition = makeOpenRendition({ storage, cache, madeFiles });
  const served = makeServedRenditions({ variants, logger });
  return {
    loadRendition,
    openRendition,
    served,
    deliver: makeDeliver({ images, presets, jobs, queue, loadRendition, openRendition, served, cache }),
    runRenderJob: makeRunRenderJob({
      images,
      jobs,
      presets,
      renderVariants,
      shareVariant,
      claimForJob: isOnlyProcess ? claimAll : makeClaimForJob({ claims: queries.variantClaims, logger }),
      findCampaignPresets: (id) => queries.campaigns.findPresets(id),
    }),
  };
}
