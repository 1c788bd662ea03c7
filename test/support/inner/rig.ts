import { builtInSpace } from '../../../src/model/fingerprint.ts';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import { makeQueries, type Queries } from '../../../src/db/queries.ts';
import { makeFetcher } from '../../../src/fetcher/fetch-picture.ts';
import type { ImageRef, ImageWithRenditions, NearDuplicatePolicy } from '../../../src/model/image.ts';
import type { DuplicatePolicy } from '../../../src/model/import.ts';
import type { JobReport } from '../../../src/model/job.ts';
import type { Preset } from '../../../src/model/preset.ts';
import { unrestrictedPrincipal } from '../../../src/model/principal.ts';
import type { Quotas } from '../../../src/model/quota.ts';
import { makeInProcessQueue } from '../../../src/queue/in-process.ts';
import { composeServices } from '../../../src/services/compose-services.ts';
import type { ServiceConfig } from '../../../src/services/service-parts.ts';
import { fixPresets } from './fix-presets.ts';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';
import type { Upload } from '../../../src/services/ingest-upload.ts';
import { makeAssertFreeSpace } from '../../../src/storage/free-space.ts';
import { makeLocalStorage } from '../../../src/storage/local.ts';
import { makeStaging, type ReceivedFile } from '../../../src/storage/staging.ts';
import { type TestResources, presets as usualPresets } from './test-resources.ts';
import { makeTestFolder } from './folders.ts';
import { makeRecordingLogger } from './logger.ts';

export { presets, useTestResources } from './test-resources.ts';

/** Options for a rig. */
export interface RigOptions {
  readonly leaseSeconds?: number;
  readonly inlineMs?: number;
  readonly readCacheBytes?: number;
  readonly presets?: readonly Preset[];
  /** Folder of the store; by default, a new one. */
  readonly root?: string;
  readonly nearDuplicates?: NearDuplicatePolicy;
  readonly duplicateHandling?: DuplicatePolicy;
  readonly confirmToken?: string | undefined;
  readonly isExposed?: boolean;
  /** Maximum size of a downloaded file, in bytes. */
  readonly maxDownloadBytes?: number;
  /** Free disk space below which uploads and imports are rejected, in bytes. */
  readonly minFreeBytes?: number;
  readonly quotas?: Partial<Quotas>;
  /** Replaces queries, for example with a query that fails. */
  readonly replaceQueries?: (queries: Queries) => Queries;
}

/** A test rig, which contains all services, an empty store, and the components that tests inspect. */
export type Rig = Awaited<ReturnType<typeof makeRig>>;

/** Creates a rig for one test. */
export async function makeRig({ database, decoders }: TestResources, options: RigOptions = {}) {
  const { maxDownloadBytes = 2 ** 20, minFreeBytes = 0, replaceQueries = (queries) => queries } = options;
  const config = makeConfig(options);
  const { presets = usualPresets } = options;
  const { root = await makeTestFolder() } = options;
  const logger = makeRecordingLogger();
  const storage = await makeLocalStorage(root);
  const staging = makeStaging(storage.stagingDirectory);
  const queue = makeInProcessQueue();
  const queries = replaceQueries(makeQueries(database));
  const { images, deletion, reports } = queries;
  /** Job runs that were reported to the metrics, as `kind outcome`. */
  const endedRuns: string[] = [];
  /** Rendition files that were reported to the metrics as made, as `preset.format`. */
  const renderedFiles: string[] = [];
  const { services, runJob, waitForImage, leases } = composeServices(
    {
      queries,
      decoders,
      space: builtInSpace,
      storage,
      storageHealth: { assert: () => storage.probe() },
      staging,
      queue,
      presets: fixPresets(presets),
      fetchPicture: openFetcher(config, maxDownloadBytes).fetch,
      assertFreeSpace: makeAssertFreeSpace(storage, minFreeBytes),
      isOnlyProcess: database.kind === 'embedded',
      metrics: {
        recordJob: ({ kind, outcome }) => void endedRuns.push(`${kind} ${outcome}`),
        recordRendition: ({ preset, format }) => void renderedFiles.push(`${preset}.${format}`),
      },
      ring: makeSecretRing(['test secret of at least 32 characters']),
      operatorKeys: [],
      logger,
      versions: {},
    },
    config,
  );
  onTestFinished(() => leases.stop());

  /** Writes bytes to staging. */
  const receive = (bytes: Buffer): Promise<ReceivedFile> => staging.receive(Readable.from([bytes]));

  /** Uploads bytes, inline by default. */
  async function upload(bytes: Buffer, overrides: Partial<Omit<Upload, 'file'>> = {}) {
    const file = await receive(bytes);
    return services.ingestUpload(unrestrictedPrincipal, {
      file,
      filename: 'vase.jpg',
      tenantName: 'shop',
      mode: 'inline',
      ...overrides,
    });
  }

  return {
    ...queries,
    services,
    database,
    storage,
    staging,
    decoders,
    queue,
    logger,
    presets,
    root,
    leases,
    runJob,
    waitForImage,
    endedRuns,
    renderedFiles,
    ingestUrls: services.ingestUrls,
    receive,
    upload,
    softDelete: (ref: ImageRef, force = false) => deletion.softDelete(unrestrictedPrincipal, ref, force),
    image: (id: number): Promise<ImageWithRenditions | undefined> =>
      images.find(unrestrictedPrincipal, { id }),
    report: (jobId: number): Promise<JobReport | undefined> => reports.find(unrestrictedPrincipal, jobId),
    /** Returns the path of a stored file. */
    filePath: (key: string) => join(root, key),
    async storedKeys(): Promise<string[]> {
      const keys: string[] = [];
      for await (const { key } of storage.list()) keys.push(key);
      return keys.toSorted();
    },
  };
}

/** Returns the default configuration, changed by the rig's options. */
function makeConfig(options: RigOptions): ServiceConfig {
  const config = loadConfig({});
  const { leaseSeconds = 60, inlineMs = 10_000, readCacheBytes = 0 } = options;
  const { nearDuplicates = 'reuse', duplicateHandling = 'reuse-completed', isExposed = false } = options;
  const allowedNetworks = [{ network: '127.0.0.1/32', port: undefined }];
  return {
    ...config,
    server: { ...config.server, inlineMs, readCacheBytes, isExposed },
    worker: { ...config.worker, leaseSeconds },
    similarity: { ...config.similarity, nearDuplicates },
    imports: { ...config.imports, duplicateHandling, allowedNetworks },
    purge: { ...config.purge, confirmToken: options.confirmToken },
    quotas: { ...config.quotas, ...options.quotas },
  };
}

/** Opens a real downloader that may connect to 127.0.0.1 and has no DNS server. */
function openFetcher({ imports }: ServiceConfig, maxBytes: number) {
  const fetcher = makeFetcher({
    allowedNetworks: imports.allowedNetworks,
    maxRedirects: 5,
    maxBytes,
    connectMs: 1_000,
    headersMs: 2_000,
    idleMs: 2_000,
    totalMs: 5_000,
    userAgent: 'Vitrine test',
    dnsServers: ['127.0.0.1:1'],
  });
  onTestFinished(() => fetcher.close());
  return fetcher;
}
