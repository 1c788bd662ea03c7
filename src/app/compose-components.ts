import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.ts';
import { makeHttpServer } from '../http/server.ts';
import { composeAdmission } from '../http/overload/admission.ts';
import { makeReceiveUploadForm } from '../http/bodies/upload-form.ts';
import { makeWorkerServer } from '../http/worker-server.ts';
import { installedLibraryVersion } from '../imaging/library-version.ts';
import { jobKinds } from '../model/job.ts';
import { makeAuditSealer } from '../services/audit/seal-audit-log.ts';
import { composeServices } from '../services/compose-services.ts';
import { makeStorageHealth } from '../services/storage-health.ts';
import { composeSweeper } from '../services/sweep/compose-sweeper.ts';
import { makeAssertFreeSpace } from '../storage/free-space.ts';
import { makeMetrics } from '../telemetry/metrics.ts';
import { makeRunDueJobs } from '../worker/run-due-jobs.ts';
import { makeWorker } from '../worker/worker.ts';
import { version } from '../version.ts';
import type { Access } from './open-access.ts';
import { isOnlyProcess } from './exclusive-use.ts';
import type { Resources } from './open-resources.ts';

/** The servers and workers of a process, and the background tasks beside them. */
export type Components = ReturnType<typeof composeComponents>;

/** Creates the services, and the servers and workers that call them. */
export function composeComponents(
  config: Config,
  logger: FastifyBaseLogger,
  resources: Resources,
  { ring, operatorKeys }: Access,
) {
  const { decoders, storage, staging, queue, queries, presets, fetcher, requestLimiter } = resources;
  const { usage, reports, vectorIndexes } = queries;
  const jobs = {
    // A process that does not understand the presets in force leaves the jobs to others.
    claimDue: async (...parameters: Parameters<typeof queries.jobs.claimDue>) =>
      presets.isUnderstood() ? queries.jobs.claimDue(...parameters) : [],
  };
  const metrics = makeMetrics({ usage, reports, decoders, storage, vectorIndexes });
  const assertFreeSpace = makeAssertFreeSpace(storage, config.storage.minFreeBytes);
  const storageHealth = makeStorageHealth({ storage });
  const { services, authenticate, links, signedPaths, publicDelivery, beginIdempotent, runJob, leases } =
    composeServices(
      {
        queries,
        isOnlyProcess: isOnlyProcess(config),
        decoders,
        space: resources.space,
        storage,
        storageHealth,
        staging,
        queue,
        presets,
        fetchPicture: fetcher.fetch,
        assertFreeSpace,
        metrics,
        ring,
        operatorKeys,
        logger,
        versions: { vitrine: version, node: process.versions.node, sharp: installedLibraryVersion() },
      },
      config,
    );
  const { sweeper, takeOverLostLeases } = composeSweeper({
    queries,
    storage,
    staging,
    queue,
    presets,
    config,
    logger,
  });
  // Up to two derive jobs run per decoder, because a job that is storing its renditions does not use a decoder.
  const { concurrency } = config.worker;
  const capacities = {
    derive: 2 * concurrency,
    import: config.imports.concurrency,
    // Nobody waits for these jobs, so they never use all decoders.
    render: Math.max(1, Math.floor(concurrency / 2)),
  };
  const { leaseSeconds } = config.worker;
  const workers = jobKinds.map((kind) =>
    makeWorker({
      kind,
      capacity: capacities[kind],
      jobs,
      queue,
      runJob,
      leaseSeconds,
      importLimits: config.imports,
      logger,
    }),
  );
  const runDueJobs = makeRunDueJobs({
    capacities,
    jobs,
    runJob,
    leaseSeconds,
    importLimits: config.imports,
    logger,
  });
  const receiveUploadForm = makeReceiveUploadForm({
    staging,
    assertFreeSpace,
    maxBytes: config.uploads.maxBytes,
    idleMs: config.server.bodyIdleMs,
  });
  const auditSealer = makeAuditSealer({ auditChains: queries.auditChains, logger });
  const serverParts = { services, presets, authenticate, requestLimiter, metrics };
  const http = makeHttpServer(config, logger, {
    ...serverParts,
    links,
    signedPaths,
    publicDelivery,
    beginIdempotent,
    receiveUploadForm,
    admission: composeAdmission(config, { reports, storage, metrics }, logger),
  });
  const workerServer = makeWorkerServer(config, logger, serverParts);
  return {
    auditSealer,
    http,
    workerServer,
    workers,
    runDueJobs,
    sweeper,
    leases,
    takeOverLostLeases,
    storageHealth,
  };
}
