import { join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { makeQueries } from '../../../src/db/queries.ts';
import { makeFetcher } from '../../../src/fetcher/fetch-picture.ts';
import type { DuplicateHandling, NearDuplicateHandling } from '../../../src/model/duplicates.ts';
import type { ImageRef, ImageWithRenditions } from '../../../src/model/image.ts';
import type { JobReport } from '../../../src/model/job.ts';
import type { Preset } from '../../../src/model/preset.ts';
import { openPrincipal } from '../../../src/model/principal.ts';
import { makeInProcessQueue } from '../../../src/queue/in-process.ts';
import { makeDeriveImage } from '../../../src/services/derive-image.ts';
import { makeFindDonor } from '../../../src/services/find-donor.ts';
import { makeFindNearDuplicates } from '../../../src/services/find-near-duplicates.ts';
import { makeImportImage } from '../../../src/services/import-image.ts';
import { makeIngestUpload, type Upload } from '../../../src/services/ingest-upload.ts';
import { makeIngestUrls } from '../../../src/services/ingest-urls.ts';
import { makeInspectPicture } from '../../../src/services/inspect-picture.ts';
import { makeLeaseKeeper } from '../../../src/services/lease-keeper.ts';
import { makeRunJob } from '../../../src/services/run-job.ts';
import { makeCompletionEvents } from '../../../src/services/completion-events.ts';
import { makeWaitForImage } from '../../../src/services/wait-for-image.ts';
import { makeAssertFreeSpace } from '../../../src/storage/free-space.ts';
import { makeLocalStorage } from '../../../src/storage/local.ts';
import { makeStaging, type ReceivedFile } from '../../../src/storage/staging.ts';
import { type Engines, limits, presets as usualPresets } from './engines.ts';
import { testFolder } from './folders.ts';
import { keepingLogger } from './logger.ts';

export { presets, useEngines } from './engines.ts';

/** Settings of a rig. */
export interface RigOptions {
  readonly leaseSeconds?: number;
  readonly inlineMs?: number;
  readonly presets?: readonly Preset[];
  readonly nearDuplicates?: NearDuplicateHandling;
  readonly handling?: DuplicateHandling;
  /** Largest file that an import takes. */
  readonly maxBytes?: number;
  /** Free bytes below which URLs are refused. */
  readonly minFreeBytes?: number;
  /** What happens elsewhere just after an upload has found an image with its content. */
  readonly onKnown?: (imageId: number) => Promise<unknown>;
}

/** All parts of a Vitrine behind its doors, over an empty store: what a test may need of them. */
export type Rig = Awaited<ReturnType<typeof makeRig>>;

/** A rig for one test. */
export async function makeRig({ database, decoders }: Engines, options: RigOptions = {}) {
  const { leaseSeconds = 60, inlineMs = 10_000, onKnown, presets = usualPresets } = options;
  const { nearDuplicates = 'reuse', handling = 'reuse-completed', maxBytes = 2 ** 20 } = options;
  const { minFreeBytes = 0 } = options;
  const root = await testFolder();
  const logger = keepingLogger();
  const storage = await makeLocalStorage(root);
  const staging = makeStaging(storage.stagingDirectory);
  const queue = makeInProcessQueue();
  const queries = makeQueries(database);
  const { images, jobs, tenants } = queries;
  const completionEvents = makeCompletionEvents();
  const leases = makeLeaseKeeper({ jobs, queue, leaseSeconds, logger });
  onTestFinished(() => leases.stop());
  const fetcher = openFetcher(maxBytes);
  const inspectPicture = makeInspectPicture({ decoders, limits });
  const findNearDuplicates = makeFindNearDuplicates({
    fingerprints: queries.fingerprints,
    handling: nearDuplicates,
    threshold: 5,
  });
  const parts = { ...queries, storage, staging, decoders, limits, presets, inspectPicture, queue, logger };
  const findDonor = makeFindDonor(parts);
  const deriveImage = makeDeriveImage({ ...parts, findNearDuplicates, nearDuplicates, findDonor });
  const importImage = makeImportImage({
    ...parts,
    fetchPicture: fetcher.fetch,
    deriveImage,
    assertFreeSpace: makeAssertFreeSpace(storage, 0),
  });
  /** Runs that have ended, as the metrics were told of them. */
  const endedRuns: string[] = [];
  const metrics = {
    jobEnded: (run: { kind: string; outcome: string }) => void endedRuns.push(`${run.kind} ${run.outcome}`),
  };
  const work = { derive: deriveImage, import: importImage };
  const runner = { jobs, work, metrics, leases, leaseSeconds, completionEvents, queue, logger };
  const runJob = makeRunJob(runner);
  const waitForImage = makeWaitForImage({ images, completionEvents });
  const findByContent: typeof images.findByContent = async (tenantId, contentHash) => {
    const known = await images.findByContent(tenantId, contentHash);
    if (known) await onKnown?.(known.id);
    return known;
  };
  const ingest = makeIngestUpload({
    ...parts,
    images: { ...images, findByContent },
    runJob,
    waitForImage,
    leaseSeconds,
    inlineMs,
  });
  const ingestUrls = makeIngestUrls({
    tenants,
    images,
    jobs,
    imports: queries.imports,
    queue,
    assertFreeSpace: makeAssertFreeSpace(storage, minFreeBytes),
    addressRules: loopback,
    handling,
  });

  /** A file that has arrived and is not stored. */
  const receive = (bytes: Buffer): Promise<ReceivedFile> => staging.receive(Readable.from([bytes]));

  /** Sends bytes as an upload. */
  async function upload(bytes: Buffer, more: Partial<Omit<Upload, 'file'>> = {}) {
    const file = await receive(bytes);
    return ingest(openPrincipal, { file, filename: 'vase.jpg', tenantName: 'shop', mode: 'inline', ...more });
  }

  return {
    ...parts,
    database,
    root,
    completionEvents,
    leases,
    findNearDuplicates,
    runJob,
    /** The same over another way to record failures. */
    runnerOver: (other: Pick<typeof jobs, 'recordFailure'>) => makeRunJob({ ...runner, jobs: other }),
    endedRuns,
    waitForImage,
    ingestUrls,
    receive,
    upload,
    hide: (reference: ImageRef, force = false) =>
      queries.deletion.softDelete(openPrincipal, reference, force),
    image: (id: number): Promise<ImageWithRenditions | undefined> => images.find(openPrincipal, { id }),
    report: (jobId: number): Promise<JobReport | undefined> => queries.reports.find(openPrincipal, jobId),
    /** Where a stored file lies on the disk. */
    pathOf: (key: string) => join(root, key),
    async storedKeys(): Promise<string[]> {
      const keys: string[] = [];
      for await (const { key } of storage.list()) keys.push(key);
      return keys.toSorted();
    },
  };
}

const loopback = { allowedNetworks: [{ network: '127.0.0.1/32', port: undefined }] };

/** A real downloader that may reach this machine, and asks no name server. */
function openFetcher(maxBytes: number) {
  const fetcher = makeFetcher({
    ...loopback,
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
