import { fingerprintVersion } from '../model/fingerprint.ts';
import { type AccessGates, composeAccess } from './access/compose-access.ts';
import { authoriseServices } from './access/required-scopes.ts';
import { makeCampaigns } from './campaigns/campaigns.ts';
import { makeRunCampaignJob } from './campaigns/describe-again.ts';
import { makeFillCampaigns } from './campaigns/fill-campaigns.ts';
import { makeCheckHealth } from './check-health.ts';
import { makeCompareWithImage } from './compare-with-image.ts';
import { composeDelivery } from './delivery/compose-delivery.ts';
import { makeManageFocalPoint } from './delivery/focal-point.ts';
import { makeDeleteImage, makeRestoreImage } from './delete-image.ts';
import { makeDeriveImage } from './derive-image.ts';
import { composeDuplicates } from './duplicates/compose-duplicates.ts';
import { makeFindDonor } from './find-donor.ts';
import { makeFindNearDuplicates, radiusOf } from './find-near-duplicates.ts';
import { makeRelateCandidates } from './relate-candidates.ts';
import { makeImportImage } from './import-image.ts';
import { makeIngestUpload } from './ingest-upload.ts';
import { makeFindImport, makeIngestUrls } from './ingest-urls.ts';
import { makeInspectPicture } from './inspect-picture.ts';
import { makeJobs } from './jobs.ts';
import { makeJudgePicture } from './judge-picture.ts';
import { type LeaseKeeper, makeLeaseKeeper } from './leases.ts';
import { makeIngestPresigned, makePresignUpload } from './presigned-uploads.ts';
import { makeCheckPurgeConfirmation } from './purge/check-purge-confirmation.ts';
import { makePurgeDeleted } from './purge/purge-deleted.ts';
import { makePurgeUnused } from './purge/purge-unused.ts';
import { makeRemoveImages } from './purge/remove-images.ts';
import { makeRecentDerivations } from './recent-derivations.ts';
import { makeReferences } from './references.ts';
import { makeRenditionCache } from './rendition-cache.ts';
import { makeRetrieveImage } from './retrieve-image.ts';
import { makeRunJob, type RunJob } from './run-job.ts';
import { composeSimilarity } from './compose-similarity.ts';
import { type ComposedTenants, composeTenants } from './compose-tenants.ts';
import type { ServiceConfig, ServiceParts } from './service-parts.ts';
import type { Services } from './services.ts';
import { makeListImages } from './tenants.ts';
import { makeTryPresets } from './try-presets.ts';
import { makeCompletionEvents, makeWaitForImage, type WaitForImage } from './wait-for-image.ts';

/** The services for the API, and the components that workers need to run jobs. */
export interface ComposedServices extends AccessGates {
  /** Each use case checks the scopes of its caller. */
  readonly services: Services;
  readonly runJob: RunJob;
  readonly waitForImage: WaitForImage;
  readonly leases: LeaseKeeper;
}

/** Wires all services. */
export function composeServices(parts: ServiceParts, config: ServiceConfig): ComposedServices {
  const tenants = composeTenants(parts, config);
  const sharedServices = composeShared(parts, config, tenants);
  const { runJob, leases } = composeJobs(parts, config, sharedServices);
  const { services: accessServices, ...gates } = composeAccess(parts, config, tenants.settings);
  const services = authoriseServices({
    ...composeApi(parts, config, sharedServices, runJob),
    ...accessServices,
  });
  return {
    services,
    ...gates,
    runJob,
    waitForImage: sharedServices.waitForImage,
    leases,
  };
}

type SharedServices = ReturnType<typeof composeShared>;

/** Composes the services that other services use. */
function composeShared(parts: ServiceParts, config: ServiceConfig, tenants: ComposedTenants) {
  const { queries, decoders, storage, presets, logger } = parts;
  const { uploads, similarity, server, storage: storageConfig } = config;
  const { images, fingerprints, verdicts } = queries;
  const cache = makeRenditionCache(server.readCacheBytes);
  const delivery = composeDelivery(parts, config, cache);
  const completionEvents = makeCompletionEvents();
  return {
    cache,
    delivery,
    tenants,
    findQuotas: tenants.findQuotas,
    completionEvents,
    waitForImage: makeWaitForImage({ images, completionEvents }),
    inspectPicture: makeInspectPicture({ decoders, limits: uploads }),
    findNearDuplicates: makeFindNearDuplicates({
      fingerprints,
      verdicts,
      similarity,
      relateCandidates: makeRelateCandidates({ decoders, storage, limits: config.uploads, logger }),
    }),
    retrieve: makeRetrieveImage({
      ...delivery,
      images,
      storage,
      cache,
      presets,
      redirectSeconds: storageConfig.kind === 's3' ? storageConfig.redirectSeconds : undefined,
    }),
  };
}

/** Composes the components that run jobs, both in workers and for inline uploads. */
function composeJobs(parts: ServiceParts, config: ServiceConfig, sharedServices: SharedServices) {
  const { queries, storage, staging, decoders, queue, fetchPicture, assertFreeSpace, metrics, logger } =
    parts;
  const { images, jobs, fingerprints } = queries;
  const { inspectPicture, findNearDuplicates, completionEvents, findQuotas } = sharedServices;
  const { leaseSeconds } = config.worker;
  const leases = makeLeaseKeeper({ jobs, queue, leaseSeconds, logger });
  const deriveImage = makeDeriveImage({
    images,
    jobs,
    fingerprints,
    findNearDuplicates,
    recentDerivations: makeRecentDerivations(radiusOf(config.similarity), parts.isOnlyProcess),
    findDonor: makeFindDonor({ decoders, storage, logger }),
    judgePicture: makeJudgePicture({ settings: sharedServices.tenants.settings, images }),
    nearDuplicates: config.similarity.nearDuplicates,
    storage,
    staging,
    decoders,
    limits: config.uploads,
    presets: parts.presets,
    metrics,
  });
  const importImage = makeImportImage({
    fetchPicture,
    images,
    jobs,
    inspectPicture,
    deriveImage,
    storage,
    staging,
    assertFreeSpace,
    findQuotas,
    quotas: queries.quotas,
  });
  const runJob = makeRunJob({
    jobs,
    storage,
    work: {
      derive: deriveImage,
      import: importImage,
      render: makeRunCampaignJob(
        { images, jobs, campaigns: queries.campaigns, storage, decoders, limits: config.uploads },
        sharedServices.delivery.runRenderJob,
      ),
    },
    metrics,
    leases,
    completionEvents,
    queue,
    leaseSeconds,
    logger,
  });
  return { runJob, leases };
}

function composeApi(
  parts: ServiceParts,
  config: ServiceConfig,
  sharedServices: SharedServices,
  runJob: RunJob,
): Omit<Services, 'apiKeys' | 'audit' | 'links'> {
  const { queries, queue, presets, space, logger } = parts;
  const { campaigns, tenants, images, imports, focalPoints, references, reports, jobs } = queries;
  return {
    ...composeIngestion(parts, config, sharedServices, runJob),
    ...composePictureTools(parts, config, sharedServices),
    ...composeDeletion(parts, config, sharedServices),
    ...sharedServices.tenants.services,
    retrieve: sharedServices.retrieve,
    deliver: sharedServices.delivery.deliver,
    focalPoint: makeManageFocalPoint({ focalPoints, cache: sharedServices.cache, logger }),
    references: makeReferences({ images, references }),
    listImages: makeListImages({ images }),
    findImport: makeFindImport({ imports }),
    ...composeSimilarity(parts, config, sharedServices),
    ...composeDuplicates(parts, sharedServices.cache),
    jobs: makeJobs({ jobs, reports, queue }),
    campaigns: makeCampaigns({
      campaigns,
      tenants,
      presets,
      fillCampaigns: makeFillCampaigns({ campaigns, presets, queue, logger }),
      version: { space: space.name, fingerprintVersion },
    }),
    checkHealth: composeHealth(parts, config),
  };
}

function composeIngestion(
  parts: ServiceParts,
  config: ServiceConfig,
  sharedServices: SharedServices,
  runJob: RunJob,
) {
  const { queries, storage, staging, queue, assertFreeSpace, logger } = parts;
  const { tenants, images, jobs, imports } = queries;
  const { inspectPicture, waitForImage, findQuotas } = sharedServices;
  const maxUploadBytes = config.uploads.maxBytes;
  const ingestUpload = makeIngestUpload({
    tenants,
    images,
    jobs,
    storage,
    staging,
    inspectPicture,
    queue,
    runJob,
    waitForImage,
    findQuotas,
    quotas: queries.quotas,
    leaseSeconds: config.worker.leaseSeconds,
    inlineMs: config.server.inlineMs,
  });
  return {
    ingestUpload,
    presignUpload: makePresignUpload({ tenants, storage, maxUploadBytes }),
    ingestPresigned: makeIngestPresigned({
      tenants,
      storage,
      staging,
      assertFreeSpace,
      ingestUpload,
      maxUploadBytes,
      logger,
    }),
    ingestUrls: makeIngestUrls({
      tenants,
      images,
      jobs,
      imports,
      queue,
      assertFreeSpace,
      findQuotas,
      config: config.imports,
    }),
  };
}

/** Composes the services that compare an uploaded picture with what is made of it. */
function composePictureTools(
  { decoders, storage, staging, presets }: ServiceParts,
  { uploads: limits }: ServiceConfig,
  { inspectPicture, retrieve }: SharedServices,
) {
  return {
    compareWithImage: makeCompareWithImage({ retrieve, inspectPicture, decoders, storage, staging, limits }),
    tryPresets: makeTryPresets({ inspectPicture, decoders, staging, limits, presets }),
  };
}

function composeDeletion(
  { queries, storage, logger }: ServiceParts,
  { purge, server, access }: ServiceConfig,
  { cache, retrieve, findQuotas }: SharedServices,
) {
  const { audit, deletion, images, purging, storedFiles, tenants } = queries;
  const removeImages = makeRemoveImages({ purging, storedFiles, storage, cache, logger });
  const checkPurgeConfirmation = makeCheckPurgeConfirmation({
    confirmToken: purge.confirmToken,
    // With keys, a purge needs the scope `purge.run`, which is a better protection than a shared token.
    needsToken: server.isExposed && access.mode === 'open',
    logger,
  });
  return {
    deleteImage: makeDeleteImage({ deletion, cache, logger }),
    restoreImage: makeRestoreImage({ deletion, images, findQuotas, retrieve, logger }),
    purgeUnused: makePurgeUnused({ purging, tenants, audit, removeImages, checkPurgeConfirmation, logger }),
    purgeDeleted: makePurgeDeleted({ purging, tenants, audit, removeImages, checkPurgeConfirmation, logger }),
  };
}

function composeHealth(
  { queries, storage, storageHealth, queue, decoders, space, presets, versions, logger }: ServiceParts,
  { exposureWarnings }: ServiceConfig,
) {
  const { installation, reports, embeddings } = queries;
  return makeCheckHealth({
    installation,
    reports,
    embeddings,
    storage,
    storageHealth,
    queue,
    decoders,
    presets,
    space,
    versions,
    exposureWarnings,
    logger,
  });
}
