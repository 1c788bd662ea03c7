import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from './config.ts';
import { type DataFolderLock, lockDataFolder } from './data-folder/lock.ts';
import { openEmbeddedDatabase } from './db/embedded.ts';
import { makeImageQueries } from './db/images.ts';
import { makeIntakeQueries } from './db/intake.ts';
import { makeJobQueries } from './db/jobs.ts';
import { migrate } from './db/migrate.ts';
import { makeSweepQueries } from './db/sweeping.ts';
import { makeTenantQueries } from './db/tenants.ts';
import { makeUsageQueries } from './db/usage.ts';
import { makeReceiveUploadForm } from './http/multipart.ts';
import { makeHttpServer } from './http/server.ts';
import { makeDecoderPool } from './imaging/pool/decoder-pool.ts';
import { makeInProcessQueue } from './queue/in-process.ts';
import { makeCheckHealth } from './services/check-health.ts';
import { makeDeleteImage } from './services/delete-image.ts';
import { makeDeriveImage } from './services/derive-image.ts';
import { makeIngestUpload } from './services/ingest-upload.ts';
import { makeLeaseKeeper } from './services/lease-keeper.ts';
import { makeRenditionCache } from './services/rendition-cache.ts';
import { makeRetrieveImage } from './services/retrieve-image.ts';
import { makeRunJob } from './services/run-job.ts';
import type { Services } from './services/services.ts';
import { makeSettlements } from './services/settlements.ts';
import { makeTakeOverLostLeases } from './services/sweep/lost-leases.ts';
import { makeFindMissingOriginals } from './services/sweep/missing-originals.ts';
import { makeSweepOrphans } from './services/sweep/orphans.ts';
import { makeSweeper } from './services/sweep/sweeper.ts';
import { makeWaitForImage } from './services/wait-for-image.ts';
import { makeAssertFreeSpace } from './storage/free-space.ts';
import { makeLocalStorage } from './storage/local.ts';
import { makeStaging } from './storage/staging.ts';
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
    return { decoders, storage, staging, database, queue: makeInProcessQueue(), logger };
  } catch (error) {
    await decoders.close();
    throw error;
  }
}

type Parts = Awaited<ReturnType<typeof openParts>>;

/** Services over the parts, and who calls them. */
function compose(config: Config, { decoders, storage, staging, database, queue, logger }: Parts) {
  const { presets } = config;
  const { leaseSeconds } = config.worker;
  const limits = config.uploads.picture;
  const images = makeImageQueries(database);
  const jobs = makeJobQueries(database);
  const sweeping = makeSweepQueries(database);
  const usage = makeUsageQueries(database);
  const settlements = makeSettlements();
  const leases = makeLeaseKeeper({ jobs, leaseSeconds, logger });
  const cache = makeRenditionCache(
    config.server.readCacheBytes,
    presets.map(({ name }) => name),
  );
  const deriveImage = makeDeriveImage({ images, jobs, storage, staging, decoders, limits, presets });
  const runJob = makeRunJob({ jobs, deriveImage, leases, settlements, queue, logger });
  const services: Services = {
    ingestUpload: makeIngestUpload({
      tenants: makeTenantQueries(database),
      intake: makeIntakeQueries(database),
      waitForImage: makeWaitForImage({ images, settlements }),
      inlineMs: config.server.inlineMs,
      images,
      storage,
      staging,
      decoders,
      queue,
      runJob,
      limits,
      leaseSeconds,
    }),
    retrieve: makeRetrieveImage({ images, jobs, queue, storage, cache, presets }),
    deleteImage: makeDeleteImage({ images, cache }),
    listImages: (principal, filter, page) => images.list(principal, filter, page),
    usage,
    checkHealth: makeCheckHealth({ sweeping, storage, logger }),
  };
  const takeOverLostLeases = makeTakeOverLostLeases({ sweeping, queue, logger });
  const brake = config.storage.orphanBrake;
  const sweepOrphans = makeSweepOrphans({ sweeping, storage, brake, logger });
  const findMissingOriginals = makeFindMissingOriginals({ sweeping, images, storage, brake, logger });
  const sweeper = makeSweeper({
    takeOverLostLeases,
    sweepOrphans,
    findMissingOriginals,
    sweeping,
    staging,
    logger,
  });
  // Twice as many jobs as decoders: while one picture is stored and recorded, the next is decoded.
  const worker = makeWorker({
    jobs,
    queue,
    runJob,
    capacity: 2 * config.worker.concurrency,
    leaseSeconds,
    logger,
  });
  const receiveUploadForm = makeReceiveUploadForm({
    staging,
    assertFreeSpace: makeAssertFreeSpace(storage, config.storage.minFreeBytes),
    maxBytes: config.uploads.maxBytes,
    idleMs: config.server.bodyIdleMs,
  });
  const http = makeHttpServer(config.server, logger, { services, receiveUploadForm, presets });
  return { http, worker, sweeper, leases, takeOverLostLeases };
}

function startable(
  config: Config,
  parts: Parts,
  composed: ReturnType<typeof compose>,
  lock: DataFolderLock,
): App {
  const { http, worker, sweeper, leases, takeOverLostLeases } = composed;
  let closing: Promise<void> | undefined;

  /** Requests and jobs may finish; what takes too long is handed back. */
  async function drain(): Promise<void> {
    const drained = Promise.all([http.close(), worker.stop(), sweeper.stop()]);
    const inTime = await Promise.race([
      drained.then(() => true),
      sleep(config.server.shutdownMs, false, { ref: false }),
    ]);
    await leases.handBackAll();
    if (!inTime) http.server.closeAllConnections();
  }

  async function close(): Promise<void> {
    await drain();
    leases.stop();
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
      worker.start();
      sweeper.start();
    },
    close: () => (closing ??= close()),
  };
}
