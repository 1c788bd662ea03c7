import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from './config.ts';
import { type DataFolderLock, lockDataFolder } from './data-folder/lock.ts';
import { openEmbeddedDatabase } from './db/embedded.ts';
import { migrate } from './db/migrate.ts';
import { makeQueries } from './db/queries.ts';
import { type Fetcher, makeFetcher } from './fetcher/fetch-picture.ts';
import { makeReceiveUploadForm } from './http/multipart.ts';
import { makeHttpServer } from './http/server.ts';
import { makeDecoderPool } from './imaging/pool/decoder-pool.ts';
import { embeddingDimension, embeddingSpace } from './model/fingerprint.ts';
import { makeInProcessQueue } from './queue/in-process.ts';
import { makeCheckHealth } from './services/check-health.ts';
import { makeCompareWithImage } from './services/compare-with-image.ts';
import { makeDeleteImage } from './services/delete-image.ts';
import { makeDeriveImage } from './services/derive-image.ts';
import { makeFindDuplicates } from './services/find-duplicates.ts';
import { makeFindNearDuplicates } from './services/find-near-duplicates.ts';
import { makeFindSimilar } from './services/find-similar.ts';
import { makeImportImage } from './services/import-image.ts';
import { makeIngestUpload } from './services/ingest-upload.ts';
import { makeIngestUrls } from './services/ingest-urls.ts';
import { makeInspectPicture } from './services/inspect-picture.ts';
import { makeLeaseKeeper } from './services/lease-keeper.ts';
import { makePurgeDeleted } from './services/purge/purge-deleted.ts';
import { makePurgeUnused } from './services/purge/purge-unused.ts';
import { makeRemoveImages } from './services/purge/remove-images.ts';
import { makeReferences } from './services/references.ts';
import { makeRenditionCache } from './services/rendition-cache.ts';
import { makeRestoreImage } from './services/restore-image.ts';
import { makeRetrieveImage } from './services/retrieve-image.ts';
import { makeRetryJobs } from './services/retry-jobs.ts';
import { makeRunJob } from './services/run-job.ts';
import { makeSearchByPicture } from './services/search-by-picture.ts';
import type { Services } from './services/services.ts';
import { makeSettlements } from './services/settlements.ts';
import { makeTakeOverLostLeases } from './services/sweep/lost-leases.ts';
import { makeFindMissingOriginals } from './services/sweep/missing-originals.ts';
import { makeSweepOrphans } from './services/sweep/orphans.ts';
import { makeSweeper } from './services/sweep/sweeper.ts';
import { makeTryPresets } from './services/try-presets.ts';
import { makeWaitForImage } from './services/wait-for-image.ts';
import { makeAssertFreeSpace } from './storage/free-space.ts';
import { makeLocalStorage } from './storage/local.ts';
import { makeStaging } from './storage/staging.ts';
import { makeMetrics } from './telemetry/metrics.ts';
import { version } from './version.ts';
import { makeWorker } from './worker/worker.ts';

/** All parts of a running Vitrine. */
export interface App {
  /** Listens for requests; answers the address. */
  listen(): Promise<string>;
  /** Takes jobs. */
  work(): Promise<void>;
  /** Ends in reverse order: no new requests and jobs, what runs may finish, the rest is handed back. Safe to repeat. */
  close(): Promise<void>;
}

/** Composition root: the only place that names concrete drivers. Holds the data folder from here on. */
export async function makeApp(config: Config, logger: FastifyBaseLogger): Promise<App> {
  const lock = lockDataFolder(config.dataDir);
  try {
    const parts = await openParts(config, logger);
    return startable(config, parts, compose(config, parts), lock);
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** The parts that hold something open: children, files, the database. */
async function openParts(config: Config, logger: FastifyBaseLogger) {
  const decoders = makeDecoderPool({ size: config.worker.concurrency, ...config.decoder, logger });
  try {
    // The children load their library while the database opens.
    await decoders.start();
    const storage = await makeLocalStorage(config.storage.path);
    const staging = makeStaging(storage.stagingDirectory);
    // Nobody else holds the folder, so whatever lies in staging was left behind by a crash.
    await staging.sweep(0);
    const database = await openEmbeddedDatabase(join(config.dataDir, 'db'));
    await migrate(database);
    const fetcher = openFetcher(config);
    return { decoders, storage, staging, database, queue: makeInProcessQueue(), fetcher, logger };
  } catch (error) {
    await decoders.close();
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof openParts>>;

function openFetcher({ imports, uploads }: Config): Fetcher {
  return makeFetcher({
    ...imports,
    maxBytes: uploads.maxBytes,
    headersMs: imports.idleMs,
    userAgent: `Vitrine/${version}`,
  });
}

/** Services over the parts, and who calls them. */
function compose(config: Config, parts: Parts) {
  const { decoders, storage, staging, database, queue, fetcher, logger } = parts;
  const { presets } = config;
  const { leaseSeconds } = config.worker;
  const { nearDuplicates, hashThreshold } = config.similarity;
  const limits = config.uploads.picture;
  const queries = makeQueries(database);
  const { images, jobs, sweeping, completion, deletion, embeddings, purging, reports, tenants, urlIntake } =
    queries;
  const settlements = makeSettlements();
  const leases = makeLeaseKeeper({ jobs, leaseSeconds, logger });
  const cache = makeRenditionCache(
    config.server.readCacheBytes,
    presets.map(({ name }) => name),
  );
  const metrics = makeMetrics({ usage: queries.usage, reports, decoders, storage });
  const assertFreeSpace = makeAssertFreeSpace(storage, config.storage.minFreeBytes);
  const inspectPicture = makeInspectPicture({ decoders, limits });
  const findNearDuplicates = makeFindNearDuplicates({
    fingerprints: queries.fingerprints,
    handling: nearDuplicates,
    threshold: hashThreshold,
  });
  const deriveImage = makeDeriveImage({
    images,
    completion,
    findNearDuplicates,
    nearDuplicates,
    storage,
    staging,
    decoders,
    limits,
    presets,
  });
  const importImage = makeImportImage({
    fetchPicture: fetcher.fetch,
    images,
    urlIntake,
    completion,
    inspectPicture,
    deriveImage,
    storage,
    staging,
    assertFreeSpace,
  });
  const work = { derive: deriveImage, import: importImage };
  const runJob = makeRunJob({ jobs, work, leases, settlements, queue, metrics, logger });
  const retrieve = makeRetrieveImage({ images, jobs, queue, storage, cache, presets });
  const removeImages = makeRemoveImages({ purging, sweeping, storage, cache, logger });
  const { confirmToken } = config.purge;
  const services: Services = {
    ingestUpload: makeIngestUpload({
      tenants,
      intake: queries.intake,
      waitForImage: makeWaitForImage({ images, settlements }),
      inlineMs: config.server.inlineMs,
      images,
      storage,
      staging,
      inspectPicture,
      queue,
      runJob,
      leaseSeconds,
    }),
    ingestUrls: makeIngestUrls({
      tenants,
      images,
      urlIntake,
      imports: queries.imports,
      queue,
      addressRules: config.imports,
      handling: config.imports.duplicateHandling,
    }),
    findImport: (principal, reference, page) => queries.imports.find(principal, reference, page),
    retrieve,
    deleteImage: makeDeleteImage({ deletion, cache }),
    restoreImage: makeRestoreImage({ deletion, retrieve }),
    references: makeReferences({ images, references: queries.references }),
    listImages: (principal, filter, page) => images.list(principal, filter, page),
    compareWithImage: makeCompareWithImage({ retrieve, inspectPicture, decoders, storage, staging, limits }),
    tryPresets: makeTryPresets({ inspectPicture, decoders, staging, limits, presets }),
    findSimilar: makeFindSimilar({ images, embeddings, jobs, queue, space: embeddingSpace }),
    findDuplicates: makeFindDuplicates({ images }),
    searchByPicture: makeSearchByPicture({
      tenants,
      images,
      embeddings,
      findNearDuplicates,
      inspectPicture,
      decoders,
      staging,
      limits,
    }),
    purgeUnused: makePurgeUnused({ purging, tenants, removeImages, confirmToken, logger }),
    purgeDeleted: makePurgeDeleted({ purging, removeImages, logger }),
    jobs: reports,
    retryJobs: makeRetryJobs({ reports, queue }),
    usage: queries.usage,
    checkHealth: makeCheckHealth({
      sweeping,
      reports,
      embeddings,
      storage,
      queue,
      decoders,
      space: { name: embeddingSpace, dimension: embeddingDimension },
      versions: { vitrine: version, node: process.versions.node },
      logger,
    }),
  };
  const takeOverLostLeases = makeTakeOverLostLeases({ sweeping, queue, logger });
  const brake = config.storage.orphanBrake;
  const sweeper = makeSweeper({
    takeOverLostLeases,
    sweepOrphans: makeSweepOrphans({ sweeping, storage, brake, logger }),
    findMissingOriginals: makeFindMissingOriginals({ sweeping, images, storage, brake, logger }),
    sweeping,
    staging,
    logger,
  });
  const hand = { jobs, queue, runJob, leaseSeconds, logger };
  const workers = [
    // Twice as many jobs as decoders: while one picture is stored and recorded, the next is decoded.
    makeWorker({ ...hand, kind: 'derive', capacity: 2 * config.worker.concurrency }),
    makeWorker({ ...hand, kind: 'import', capacity: config.imports.concurrency }),
  ];
  const receiveUploadForm = makeReceiveUploadForm({
    staging,
    assertFreeSpace,
    maxBytes: config.uploads.maxBytes,
    idleMs: config.server.bodyIdleMs,
  });
  const http = makeHttpServer(config, logger, { services, receiveUploadForm, metrics });
  return { http, workers, sweeper, leases, takeOverLostLeases };
}

function startable(
  config: Config,
  parts: Parts,
  composed: ReturnType<typeof compose>,
  lock: DataFolderLock,
): App {
  const { http, workers, sweeper, leases, takeOverLostLeases } = composed;
  let closing: Promise<void> | undefined;

  /** Requests and jobs may finish; what takes too long is handed back. */
  async function drain(): Promise<void> {
    const drained = Promise.all([http.close(), sweeper.stop(), ...workers.map((worker) => worker.stop())]);
    // A download waits for a stranger's server, and no stop waits with it. Whoever takes it over begins it anew.
    await leases.handBack('import');
    const inTime = await Promise.race([
      drained.then(() => true),
      sleep(config.server.shutdownMs, false, { ref: false }),
    ]);
    await leases.handBack();
    if (!inTime) http.server.closeAllConnections();
  }

  async function close(): Promise<void> {
    await drain();
    leases.stop();
    await parts.fetcher.close();
    await parts.decoders.close();
    await parts.queue.close();
    await parts.database.close();
    lock.release();
  }

  return {
    async listen() {
      const { host, port } = config.server;
      const url = await http.listen({
        host,
        port,
        listenTextResolver: (address) => `Vitrine ${version} listens on ${address}`,
      });
      lock.publishUrl(url);
      return url;
    },
    async work() {
      // Nobody else holds the folder, so every lease is that of a dead process.
      await takeOverLostLeases(true);
      for (const worker of workers) worker.start();
      sweeper.start();
    },
    close: () => (closing ??= close()),
  };
}
