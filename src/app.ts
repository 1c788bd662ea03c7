import { join } from 'node:path';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import { openDatabase, openQueue, openStorage } from './app/open-engines.ts';
import { whenClaimed } from './app/when-claimed.ts';
import type { Config } from './config.ts';
import { type DataFolderLock, lockDataFolder } from './data-folder/lock.ts';
import {
  describeOpenPictureFolder,
  isBelow,
  makePrivate,
  protectDataFolder,
} from './data-folder/private-folder.ts';
import { migrate } from './db/engine/migrate.ts';
import { makeQueries } from './db/queries.ts';
import { type Fetcher, makeFetcher } from './fetcher/fetch-picture.ts';
import { makeReceiveUploadForm } from './http/bodies/upload-form.ts';
import { handleRequest, makeHttpServer } from './http/server.ts';
import { makeWorkerServer } from './http/worker-server.ts';
import { installedDecoder } from './imaging/library-version.ts';
import { makeDecoderPool } from './imaging/pool/decoder-pool.ts';
import { jobKinds } from './model/job.ts';
import { makeClaimStorage } from './services/claim-storage.ts';
import { composeServices, type ServiceSettings } from './services/compose-services.ts';
import { makeStorageHealth } from './services/storage-health.ts';
import { composeSweeper } from './services/sweep/compose-sweeper.ts';
import { makeAssertFreeSpace } from './storage/free-space.ts';
import { localStagingName, makeStaging } from './storage/staging.ts';
import { makeMetrics } from './telemetry/metrics.ts';
import { version } from './version.ts';
import { makeWorkOff } from './worker/work-off.ts';
import { makeWorker } from './worker/worker.ts';

/** All parts of a running Vitrine. */
export interface App {
  /** Listens for requests; answers the address. */
  listen(): Promise<string>;
  /** Takes jobs. */
  work(): Promise<void>;
  /** Listens on `port` for those that watch a worker: health and figures only. Answers the address. */
  listenForWatchers(port: number): Promise<string>;
  /** Answers one request that came in elsewhere, without listening. */
  answer(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Works on due jobs until none is left or the time is over, in place of `work`. Downloads end with the time. */
  workFor(milliseconds: number): Promise<void>;
  /** Makes the sweeps that are due, in place of those that `work` makes on a timetable. */
  sweep(which: 'frequent' | 'all'): Promise<void>;
  /** Ends in reverse order: no new requests and jobs, what runs may finish, the rest is handed back. Safe to repeat. */
  close(): Promise<void>;
}

/** Composition root. With the embedded database, holds the data folder from here on. */
export async function makeApp(config: Config, logger: FastifyBaseLogger): Promise<App> {
  const lock = config.database.kind === 'embedded' ? lockDataFolder(config.dataDir) : undefined;
  const repair = protectDataFolder(config.dataDir, foldersInside(config), logger);
  const unlock = (): void => {
    repair.stop();
    lock?.release();
  };
  try {
    const parts = await openParts(config, logger);
    return startable(config, parts, compose(config, parts), { lock, unlock });
  } catch (error) {
    unlock();
    throw error;
  }
}

/** Subfolders of the data folder that hold many files. The database's files are made private once it is open. */
function foldersInside({ dataDir, storage }: Config): string[] {
  const path = storage.kind === 'local' ? storage.path : storage.stagingPath;
  return isBelow(path, dataDir) ? [path] : [];
}

/** The parts that hold something open: children, files, the database. */
async function openParts(config: Config, logger: FastifyBaseLogger) {
  const opened = new AsyncDisposableStack();
  try {
    const decoders = makeDecoderPool({
      size: config.worker.concurrency,
      ...config.decoder,
      logger,
      workDirectory: decoderDirectory(config),
      isAlone: isAlone(config),
    });
    opened.defer(() => decoders.close());
    // The children load their library while the database opens.
    await decoders.start();
    const storage = await openStorage(config);
    warnOfPicturesElsewhere(config, logger);
    opened.defer(() => storage.close());
    const staging = makeStaging(storage.stagingDirectory);
    // Nobody else holds the folder, so whatever lies in staging was left behind by a crash.
    if (isAlone(config)) await staging.sweep(0);
    const { database, queries } = await openMigrated(config, logger);
    opened.defer(() => database.close());
    const claimStorage = makeClaimStorage({ ...queries, storage, staging, logger });
    await claimStorage();
    const queue = await openQueue(config, logger);
    const fetcher = openFetcher(config);
    return { decoders, storage, staging, database, queries, queue, fetcher, logger, claimStorage };
  } catch (error) {
    // What is left open holds the process up; and why the start failed is told, whatever happens meanwhile.
    await opened.disposeAsync().catch(() => undefined);
    throw error;
  }
}

/** In staging, so that inputs and originals are on one file system and an input needs only a hard link. */
function decoderDirectory({ storage }: Config): string {
  const staging = storage.kind === 'local' ? join(storage.path, localStagingName) : storage.stagingPath;
  return join(staging, 'decoders');
}

/** With the embedded database this process is the only one; else others may work on the same data. */
function isAlone({ database }: Config): boolean {
  return database.kind === 'embedded';
}

async function openMigrated(config: Config, logger: FastifyBaseLogger) {
  const database = await openDatabase(config, logger);
  try {
    const { vectors } = await migrate(database);
    // The engine sets file modes itself, overriding the umask of the process.
    if (config.database.kind === 'embedded') makePrivate(config.database.path);
    if (!vectors.isAvailable) {
      logger.warn({}, `${vectors.reason}. Until then similar images cannot be searched; all else works.`);
    }
    return { database, queries: makeQueries(database, vectors) };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function warnOfPicturesElsewhere({ storage, dataDir }: Config, logger: FastifyBaseLogger): void {
  if (storage.kind !== 'local') return;
  const warning = describeOpenPictureFolder(storage.path, dataDir);
  if (warning !== undefined) logger.warn({}, warning);
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
  const { decoders, storage, staging, queue, queries, logger } = parts;
  const { leaseSeconds } = config.worker;
  const metrics = makeMetrics({ usage: queries.usage, reports: queries.reports, decoders, storage });
  const assertFreeSpace = makeAssertFreeSpace(storage, config.storage.minFreeBytes);
  const storageHealth = makeStorageHealth({ storage });
  const { services, runJob, leases } = composeServices(
    { ...parts, fetchPicture: parts.fetcher.fetch, assertFreeSpace, metrics, storageHealth },
    serviceSettings(config),
  );
  const {
    retention,
    storage: { orphanBrake: brake },
  } = config;
  const sweeping = { queries, storage, staging, queue, brake, retention, logger };
  const { sweeper, takeOverLostLeases } = composeSweeper(sweeping);
  const hand = { jobs: queries.jobs, queue, runJob, leaseSeconds, logger };
  // Twice as many jobs as decoders: while one picture is stored and recorded, the next is decoded.
  const capacities = { derive: 2 * config.worker.concurrency, import: config.imports.concurrency };
  const workers = jobKinds.map((kind) => makeWorker({ ...hand, kind, capacity: capacities[kind] }));
  const workOff = makeWorkOff({ ...hand, capacities });
  const receiveUploadForm = makeReceiveUploadForm({
    staging,
    assertFreeSpace,
    maxBytes: config.uploads.maxBytes,
    idleMs: config.server.bodyIdleMs,
  });
  const http = makeHttpServer(config, logger, { services, receiveUploadForm, metrics });
  const watchers = makeWorkerServer(config.server, logger, { services, metrics });
  return { http, watchers, workers, workOff, sweeper, leases, takeOverLostLeases, storageHealth };
}

function serviceSettings({
  server,
  exposureWarnings,
  storage,
  worker,
  uploads,
  presets,
  imports,
  similarity,
  purge,
}: Config): ServiceSettings {
  return {
    presets,
    limits: uploads.picture,
    maxUploadBytes: uploads.maxBytes,
    redirectSeconds: storage.kind === 's3' ? storage.redirectSeconds : undefined,
    leaseSeconds: worker.leaseSeconds,
    inlineMs: server.inlineMs,
    readCacheBytes: server.readCacheBytes,
    nearDuplicates: similarity.nearDuplicates,
    hashThreshold: similarity.hashThreshold,
    duplicateHandling: imports.duplicateHandling,
    allowedNetworks: imports.allowedNetworks,
    confirmToken: purge.confirmToken,
    isExposed: server.isExposed,
    exposureWarnings,
    versions: { vitrine: version, node: process.versions.node, sharp: installedDecoder() },
  };
}

function startable(
  config: Config,
  parts: Parts,
  composed: ReturnType<typeof compose>,
  { lock, unlock }: { lock: DataFolderLock | undefined; unlock: () => void },
): App {
  const { http, watchers, workers, workOff, sweeper, leases, takeOverLostLeases } = composed;
  const { storageHealth } = composed;
  let closing: Promise<void> | undefined;
  let stopWaiting = (): void => undefined;

  /** Requests and jobs may finish; what takes too long is handed back. */
  async function drain(): Promise<void> {
    stopWaiting();
    storageHealth.stop();
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

  /** Downloads that outlast the time are begun anew by whoever takes them over. */
  async function workFor(milliseconds: number): Promise<void> {
    if (!(await parts.claimStorage())) return;
    const timer = setTimeout(() => void leases.handBack('import'), milliseconds);
    await workOff(milliseconds);
    clearTimeout(timer);
  }

  async function close(): Promise<void> {
    await drain();
    leases.stop();
    await watchers.close();
    await parts.fetcher.close();
    await parts.decoders.close();
    await parts.queue.close();
    await parts.database.close();
    await parts.storage.close();
    unlock();
  }

  return {
    async listen() {
      const { host, port } = config.server;
      storageHealth.start();
      const url = await http.listen({
        host,
        port,
        listenTextResolver: (address) => `Vitrine ${version} listens on ${address}`,
      });
      lock?.publishUrl(url);
      return url;
    },
    async work() {
      // Nobody else works on this data, so every lease is that of a dead process.
      if (isAlone(config)) await takeOverLostLeases(true);
      stopWaiting = whenClaimed(parts.claimStorage, parts.logger, () => {
        for (const worker of workers) worker.start();
        sweeper.start();
      });
    },
    listenForWatchers(port) {
      storageHealth.start();
      return watchers.listen({
        host: config.server.host,
        port,
        listenTextResolver: (address) =>
          `health and figures of this worker: ${address}/healthz and ${address}/metrics`,
      });
    },
    answer: (request, response) => handleRequest(http, request, response),
    workFor,
    async sweep(which) {
      if (await parts.claimStorage()) await sweeper.once(which);
    },
    close: () => (closing ??= close()),
  };
}
