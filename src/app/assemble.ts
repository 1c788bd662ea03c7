import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config.ts';
import type { DataFolderLock } from '../data-folder/lock.ts';
import type { ApiKeyQueries } from '../db/api-keys.ts';
import type { EmbeddedThread } from '../db/engine/start-embedded-thread.ts';
import { handleRequest } from '../http/server.ts';
import { whenStorageClaimed } from '../services/claim-storage.ts';
import type { PresetRole } from '../services/follow-presets.ts';
import { version } from '../version.ts';
import { type Components, composeComponents } from './compose-components.ts';
import { isOnlyProcess } from './exclusive-use.ts';
import { type Access, openAccess } from './open-access.ts';
import { openResources, type Resources } from './open-resources.ts';

/** A running Vitrine process. */
export interface App {
  /** The API key of commands on this machine. */
  readonly localKey: string;
  /** Whether anyone can create API keys with a request: always with `AUTH=open`. */
  canManageKeys(): Promise<boolean>;
  /** Counts the API keys that work, and those that need a secret that is missing. */
  countKeys(): ReturnType<ApiKeyQueries['countActive']>;
  /** Starts the HTTP server. Returns its URL. */
  listen(): Promise<string>;
  /** Starts the workers and the sweeper. */
  work(): Promise<void>;
  /** Serves a worker's health and metrics on `port`. Returns the URL. */
  listenForProbes(port: number): Promise<string>;
  /** Handles a request that a serverless host has received. */
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>;
  /**
   * Runs due jobs until none are left or `milliseconds` have passed. A short-lived process calls this instead of
   * `work`.
   */
  workFor(milliseconds: number): Promise<void>;
  /**
   * Runs the frequent sweeps or, with the scope `all`, every sweep that is due. A short-lived process calls this instead
   * of `work`.
   */
  sweep(scope: 'frequent' | 'all'): Promise<void>;
  /**
   * Stops accepting requests and jobs, and hands back the jobs that do not finish in time. Can be called repeatedly.
   */
  close(): Promise<void>;
}

/** What `makeApp` has prepared. */
interface Preparations {
  readonly config: Config;
  readonly logger: FastifyBaseLogger;
  readonly presetRole: PresetRole;
  /** The thread that opens the embedded database. */
  readonly thread: Promise<EmbeddedThread> | undefined;
  readonly lock: DataFolderLock | undefined;
  readonly releaseDataFolder: () => void;
  readonly exitOnFailure: () => void;
}

/** Opens the resources, and creates the components that use them. */
export async function assembleApp(preparations: Preparations): Promise<App> {
  const { config, logger, presetRole, thread, exitOnFailure } = preparations;
  const resources = await openResources({ config, logger, presetRole, thread, onFailure: exitOnFailure });
  const access = openAccess(config);
  try {
    const components = composeComponents(config, logger, resources, access);
    return makeLifecycle({ ...preparations, resources, components, access });
  } catch (error) {
    access.close();
    throw error;
  }
}

interface LifecycleParts extends Preparations {
  readonly resources: Resources;
  readonly components: Components;
  readonly access: Access;
}

/** A serverless function, whose timers stop between requests, reads the presets in force if they are older than this. */
const maxPresetAgeMs = 5_000;

/** Starts and stops the components in the right order. */
function makeLifecycle(parts: LifecycleParts): App {
  const { config, logger, resources, components, access, lock, releaseDataFolder, exitOnFailure } = parts;
  const {
    auditSealer,
    http,
    workerServer,
    workers,
    runDueJobs,
    sweeper,
    leases,
    takeOverLostLeases,
    storageHealth,
  } = components;
  let closePromise: Promise<void> | undefined;
  let stopWaitingForStorage = (): void => undefined;

  /** With the embedded database, no other process can change the presets. */
  function followPresets(): void {
    if (!isOnlyProcess(config)) resources.presets.start();
  }

  /** Gives requests and jobs `shutdownMs` to finish, and then hands back the remaining jobs. */
  async function drain(): Promise<void> {
    stopWaitingForStorage();
    storageHealth.stop();
    resources.presets.stop();
    const allStopped = Promise.all([http.close(), sweeper.stop(), ...workers.map((worker) => worker.stop())]);
    // Downloads depend on third-party servers, so shutdown does not wait for them. A different worker restarts them.
    await leases.handBack('import');
    const isDrained = await Promise.race([
      allStopped.then(() => true),
      sleep(config.server.shutdownMs, false, { ref: false }),
    ]);
    await leases.handBack();
    if (!isDrained) http.server.closeAllConnections();
  }

  /** Runs due jobs. Hands back downloads that are unfinished after `milliseconds`. */
  async function workFor(milliseconds: number): Promise<void> {
    if (!(await resources.claimStorage())) return;
    const timer = setTimeout(() => void leases.handBack('import'), milliseconds);
    await runDueJobs(milliseconds);
    clearTimeout(timer);
    await auditSealer.sealNow();
  }

  async function close(): Promise<void> {
    await drain();
    leases.stop();
    await workerServer.close();
    await resources.fetcher.close();
    await resources.decoders.close();
    await auditSealer.stop();
    resources.requestLimiter.stop();
    await resources.queue.close();
    resources.modeRepair?.stop();
    await resources.database.close();
    await resources.storage.close();
    access.close();
    releaseDataFolder();
  }

  return {
    localKey: access.localKey,
    countKeys: () => resources.queries.apiKeys.countActive(access.ring.ids),
    canManageKeys: async () =>
      config.access.mode === 'open' ||
      config.access.bootstrapAdminKey !== undefined ||
      resources.queries.apiKeys.hasManagingKey(access.ring.ids),
    async listen() {
      auditSealer.start();
      const { host, port } = config.server;
      storageHealth.start();
      followPresets();
      const url = await http.listen({
        host,
        port,
        listenTextResolver: (address) => `Vitrine ${version} listens on ${address}`,
      });
      lock?.publishUrl(url);
      resources.decoders.start();
      return url;
    },
    async work() {
      resources.decoders.start();
      auditSealer.start();
      followPresets();
      // No other process uses this data, so every lease belongs to a process that has crashed.
      if (isOnlyProcess(config)) await takeOverLostLeases(true);
      stopWaitingForStorage = whenStorageClaimed(
        resources.claimStorage,
        () => {
          for (const worker of workers) worker.start();
          sweeper.start();
        },
        (error) => {
          logger.error({}, `this process is exiting: ${error.message}`);
          exitOnFailure();
        },
      );
    },
    listenForProbes(port) {
      storageHealth.start();
      return workerServer.listen({
        host: config.server.host,
        port,
        listenTextResolver: (address) => `this worker serves ${address}/healthz and ${address}/metrics`,
      });
    },
    async handle(request, response) {
      resources.decoders.start();
      await resources.presets.refresh(maxPresetAgeMs);
      await handleRequest(http, request, response);
    },
    workFor,
    async sweep(scope) {
      if (await resources.claimStorage()) await sweeper.runOnce(scope);
    },
    close: () => (closePromise ??= close()),
  };
}
