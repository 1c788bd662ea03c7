import type { Queries } from '../db/queries.ts';
import type { FetchPicture } from '../fetcher/fetch-picture.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { AllowedNetwork } from '../model/allowed-network.ts';
import type { DuplicateHandling, NearDuplicateHandling } from '../model/duplicates.ts';
import { embeddingDimension, embeddingSpace } from '../model/fingerprint.ts';
import type { Logger } from '../model/logger.ts';
import type { Metrics } from '../model/metrics.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { makeCheckHealth } from './check-health.ts';
import { makeCompareWithImage } from './compare-with-image.ts';
import { makeDeleteImage } from './delete-image.ts';
import { makeDeriveImage } from './derive-image.ts';
import { makeFindDonor } from './find-donor.ts';
import { makeFindDuplicates } from './find-duplicates.ts';
import { makeFindNearDuplicates } from './find-near-duplicates.ts';
import { makeFindSimilar } from './find-similar.ts';
import { makeBindToTenant } from './find-tenant.ts';
import { makeImportImage } from './import-image.ts';
import { makeIngestUpload } from './ingest-upload.ts';
import { makeIngestUrls } from './ingest-urls.ts';
import { makeInspectPicture } from './inspect-picture.ts';
import { type LeaseKeeper, makeLeaseKeeper } from './lease-keeper.ts';
import { makeOfferUpload } from './offer-upload.ts';
import { makeConfirmPurge } from './purge/confirm-purge.ts';
import { makePurgeDeleted } from './purge/purge-deleted.ts';
import { makePurgeUnused } from './purge/purge-unused.ts';
import { makeRemoveImages } from './purge/remove-images.ts';
import { makeReferences } from './references.ts';
import { makeRenditionCache } from './rendition-cache.ts';
import { makeRestoreImage } from './restore-image.ts';
import { makeRetrieveImage } from './retrieve-image.ts';
import { makeRetryJobs } from './retry-jobs.ts';
import { makeRunJob, type RunJob } from './run-job.ts';
import { makeSearchByPicture } from './search-by-picture.ts';
import type { Services } from './services.ts';
import { makeCompletionEvents } from './completion-events.ts';
import type { StorageHealth } from './storage-health.ts';
import { makeTakeInUpload } from './take-in-upload.ts';
import { makeTryPresets } from './try-presets.ts';
import { makeWaitForImage } from './wait-for-image.ts';

/** What services are made of: drivers, by their contracts. */
interface ServiceParts {
  readonly queries: Queries;
  readonly decoders: DecoderPool;
  readonly storage: Storage;
  readonly storageHealth: Pick<StorageHealth, 'assert'>;
  readonly staging: Staging;
  readonly queue: WorkQueue;
  readonly fetchPicture: FetchPicture;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly metrics: Pick<Metrics, 'jobEnded'>;
  readonly logger: Logger;
}

/** What the configuration says to services. */
export interface ServiceSettings {
  readonly presets: readonly Preset[];
  readonly limits: PictureLimits;
  readonly leaseSeconds: number;
  readonly inlineMs: number;
  readonly readCacheBytes: number;
  readonly nearDuplicates: NearDuplicateHandling;
  readonly hashThreshold: number;
  readonly duplicateHandling: DuplicateHandling;
  readonly allowedNetworks: readonly AllowedNetwork[];
  readonly confirmToken: string | undefined;
  /** Whether others than this machine may reach the API. */
  readonly isExposed: boolean;
  /** Largest file that is taken in past this process. */
  readonly maxUploadBytes: number;
  /** How long an address of the store works that pictures are redirected to; `undefined`: no redirects. */
  readonly redirectSeconds: number | undefined;
  readonly versions: Readonly<Record<string, string>>;
  /** Warnings about the configuration. */
  readonly exposureWarnings: readonly string[];
}

/** Services for the API, and what a worker needs to run jobs. */
export interface ComposedServices {
  readonly services: Services;
  readonly runJob: RunJob;
  readonly leases: LeaseKeeper;
}

/** Wires all services over their parts. */
export function composeServices(parts: ServiceParts, settings: ServiceSettings): ComposedServices {
  const shared = composeShared(parts, settings);
  const { runJob, leases } = composeWork(parts, settings, shared);
  return { services: composeApi(parts, settings, shared, runJob), runJob, leases };
}

type Shared = ReturnType<typeof composeShared>;

/** What several services use. */
function composeShared(parts: ServiceParts, settings: ServiceSettings) {
  const { queries, decoders } = parts;
  const { presets, limits, nearDuplicates: handling, hashThreshold: threshold, readCacheBytes } = settings;
  const { redirectSeconds } = settings;
  const names = presets.map(({ name }) => name);
  const cache = makeRenditionCache(readCacheBytes, names);
  return {
    cache,
    completionEvents: makeCompletionEvents(),
    inspectPicture: makeInspectPicture({ decoders, limits }),
    findNearDuplicates: makeFindNearDuplicates({ ...queries, handling, threshold }),
    retrieve: makeRetrieveImage({ ...parts, ...queries, cache, presets, redirectSeconds }),
  };
}

function composeWork(parts: ServiceParts, settings: ServiceSettings, shared: Shared) {
  const { queries, logger, queue, metrics } = parts;
  const { leaseSeconds } = settings;
  const leases = makeLeaseKeeper({ ...queries, queue, leaseSeconds, logger });
  const findDonor = makeFindDonor(parts);
  const deriveImage = makeDeriveImage({ ...queries, ...parts, ...settings, ...shared, findDonor });
  const importImage = makeImportImage({ ...queries, ...parts, ...shared, deriveImage });
  const work = { derive: deriveImage, import: importImage };
  const { completionEvents } = shared;
  const runJob = makeRunJob({
    ...queries,
    work,
    leases,
    leaseSeconds,
    completionEvents,
    queue,
    metrics,
    logger,
  });
  return { runJob, leases };
}

function composeApi(
  parts: ServiceParts,
  settings: ServiceSettings,
  shared: Shared,
  runJob: RunJob,
): Services {
  const { queries, decoders, logger } = parts;
  const { retrieve, completionEvents } = shared;
  const { images, imports, reports, usage } = queries;
  const all = { ...queries, ...parts, ...settings, ...shared, runJob };
  const purges = { ...all, removeImages: makeRemoveImages(all), confirmPurge: makeConfirmPurge(all) };
  const ingestUpload = makeIngestUpload({
    ...all,
    waitForImage: makeWaitForImage({ images, completionEvents }),
  });
  return {
    bindToTenant: makeBindToTenant(queries.tenants),
    ingestUpload,
    offerUpload: makeOfferUpload(all),
    takeInUpload: makeTakeInUpload({ ...all, ingestUpload }),
    ingestUrls: makeIngestUrls({ ...all, addressRules: settings, handling: settings.duplicateHandling }),
    findImport: (principal, reference, page) => imports.find(principal, reference, page),
    retrieve,
    deleteImage: makeDeleteImage(all),
    restoreImage: makeRestoreImage(all),
    references: makeReferences(all),
    listImages: (principal, filter, page) => images.list(principal, filter, page),
    compareWithImage: makeCompareWithImage(all),
    tryPresets: makeTryPresets(all),
    findSimilar: makeFindSimilar({ ...all, space: embeddingSpace }),
    findDuplicates: makeFindDuplicates(all),
    searchByPicture: makeSearchByPicture(all),
    purgeUnused: makePurgeUnused(purges),
    purgeDeleted: makePurgeDeleted(purges),
    jobs: reports,
    retryJobs: makeRetryJobs(all),
    usage,
    checkHealth: makeCheckHealth({
      ...all,
      decoders,
      space: { name: embeddingSpace, dimension: embeddingDimension },
      logger,
    }),
  };
}
