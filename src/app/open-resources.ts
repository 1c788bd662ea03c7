import { join } from 'node:path';
import type { Config } from '../config.ts';
import { describeExposedPictureFolder, makePrivateInBackground } from '../data-folder/private-folder.ts';
import { migrate } from '../db/engine/migrate.ts';
import type { EmbeddedThread } from '../db/engine/start-embedded-thread.ts';
import { describeMissingIsolation } from '../db/engine/tenant-binding.ts';
import { makeQueries } from '../db/queries.ts';
import { makeFetcher } from '../fetcher/fetch-picture.ts';
import { assertFormatsAreReadable } from '../imaging/formats/heic-support.ts';
import { makeDecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { ModelDescription } from '../imaging/recognition/model/model-description.ts';
import { builtInSpace } from '../model/fingerprint.ts';
import type { Logger } from '../model/logger.ts';
import { makeClaimStorage } from '../services/claim-storage.ts';
import { openPresets, type PresetRole } from '../services/follow-presets.ts';
import { localStagingName, makeStaging } from '../storage/staging.ts';
import { version } from '../version.ts';
import { isOnlyProcess } from './exclusive-use.ts';
import { openDatabase, openQueue, openRequestLimiter, openStorage } from './open-back-ends.ts';
import { tryModel } from './try-model.ts';

/** The child processes, files and connections that a running app keeps open. */
export type Resources = Awaited<ReturnType<typeof openResources>>;

interface Options {
  readonly config: Config;
  readonly logger: Logger;
  /** What this process does with its own presets. */
  readonly presetRole: PresetRole;
  /** The thread that opens the embedded database. */
  readonly thread: Promise<EmbeddedThread> | undefined;
  /** Called if the embedded database fails. */
  readonly onFailure: () => void;
}

/** Opens all resources and migrates the database. If any of this fails, closes the resources that are already open. */
export async function openResources({ config, logger, presetRole, thread, onFailure }: Options) {
  await assertFormatsAreReadable(config.uploads.allowedFormats);
  const cleanup = new AsyncDisposableStack();
  try {
    const model = await loadModel(config);
    const decoders = makeDecoderPool({
      size: config.worker.concurrency,
      ...config.decoder,
      logger,
      model,
      workDirectory: getDecoderDirectory(config),
      isOnlyProcess: isOnlyProcess(config),
    });
    cleanup.defer(() => decoders.close());
    // Otherwise, the decoders start when nothing else has to.
    if (model) await tryModel(decoders);
    const storage = await openStorage(config);
    warnIfPicturesAreExposed(config, logger);
    cleanup.defer(() => storage.close());
    const staging = makeStaging(storage.stagingDirectory);
    // No other process uses the staging folder, so all files in it are left over from a crash.
    if (isOnlyProcess(config)) await staging.sweep(0);
    const { database, queries } = await openMigratedDatabase(config, logger, onFailure, thread);
    cleanup.defer(() => database.close());
    // The embedded database sets file modes itself and ignores the process's umask. The data folder keeps other users out.
    const modeRepair =
      config.database.kind === 'embedded' ? makePrivateInBackground(config.database.path) : undefined;
    cleanup.defer(() => modeRepair?.stop());
    const { installation } = queries;
    const claimStorage = makeClaimStorage({ installation, storage, staging, logger });
    await claimStorage();
    const presets = await openPresets({
      queries: queries.storedPresets,
      configured: config.presets,
      role: presetRole,
      programVersion: version,
      logger,
    });
    cleanup.defer(() => presets.stop());
    const queue = await openQueue(config, logger);
    const requestLimiter = await openRequestLimiter(config, database, logger);
    const fetcher = makeFetcher({
      ...config.imports,
      maxBytes: config.uploads.maxBytes,
      headersMs: config.imports.idleMs,
      userAgent: `Vitrine/${version}`,
    });
    return {
      decoders,
      space: model ? { name: model.space, dimension: model.dimension } : builtInSpace,
      storage,
      staging,
      database,
      modeRepair,
      queries,
      presets,
      queue,
      requestLimiter,
      fetcher,
      claimStorage,
    };
  } catch (error) {
    // Open resources would keep the process running. The startup error matters more than an error while closing.
    await cleanup.disposeAsync().catch(() => undefined);
    throw error;
  }
}

/** Returns the model of `EMBEDDING_MODEL`. Few installations have one, so the code is loaded only if it is needed. */
async function loadModel({ similarity }: Config): Promise<ModelDescription | undefined> {
  if (similarity.embeddingModel === undefined) return undefined;
  const { loadModelDescription } = await import('../imaging/recognition/model/load-model-description.ts');
  return loadModelDescription(similarity.embeddingModel);
}

/** Returns the folder for decoder inputs: a subfolder of the staging folder, so that originals can be hard-linked. */
function getDecoderDirectory({ storage }: Config): string {
  const staging = storage.kind === 'local' ? join(storage.path, localStagingName) : storage.stagingPath;
  return join(staging, 'decoders');
}

async function openMigratedDatabase(
  config: Config,
  logger: Logger,
  onFailure: () => void,
  thread: Promise<EmbeddedThread> | undefined,
) {
  const database = await openDatabase(config, logger, onFailure, thread);
  try {
    const { vectors } = await migrate(database);
    if (!vectors.isAvailable) {
      logger.warn({}, `Similarity search is unavailable, but everything else works: ${vectors.reason}.`);
    }
    const binding = await database.detectTenantBinding();
    if (binding.by === 'none') logger.warn({}, describeMissingIsolation(binding));
    return { database, queries: makeQueries(database, vectors) };
  } catch (error) {
    await database.close();
    throw error;
  }
}

function warnIfPicturesAreExposed({ storage, dataDir }: Config, logger: Logger): void {
  if (storage.kind !== 'local') return;
  const warning = describeExposedPictureFolder(storage.path, dataDir);
  if (warning !== undefined) logger.warn({}, warning);
}
