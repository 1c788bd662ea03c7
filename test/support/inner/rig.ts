import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { makeImageQueries } from '../../../src/db/images.ts';
import { makeIntakeQueries } from '../../../src/db/intake.ts';
import { makeJobQueries } from '../../../src/db/jobs.ts';
import { makeSweepQueries } from '../../../src/db/sweeping.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { type DecoderPool, makeDecoderPool } from '../../../src/imaging/pool/decoder-pool.ts';
import type { ImageWithRenditions } from '../../../src/model/image.ts';
import { pictureFormats } from '../../../src/model/picture.ts';
import { openPrincipal } from '../../../src/model/principal.ts';
import { makeInProcessQueue } from '../../../src/queue/in-process.ts';
import { makeDeriveImage } from '../../../src/services/derive-image.ts';
import { makeIngestUpload, type Upload } from '../../../src/services/ingest-upload.ts';
import { makeLeaseKeeper } from '../../../src/services/lease-keeper.ts';
import { makeRunJob } from '../../../src/services/run-job.ts';
import { makeSettlements } from '../../../src/services/settlements.ts';
import { makeWaitForImage } from '../../../src/services/wait-for-image.ts';
import { makeLocalStorage } from '../../../src/storage/local.ts';
import { makeStaging } from '../../../src/storage/staging.ts';
import { useDatabase } from './database.ts';
import { testFolder } from './folders.ts';
import { keepingLogger } from './logger.ts';

export const presets = [
  { name: 'thumb', width: 20, height: 20, quality: 85 },
  { name: 'card', width: 40, height: 40, quality: 85 },
];
const limits = { maxPixels: 50e6, maxFrames: 100, allowedFormats: pictureFormats };
const markedChild = fileURLToPath(new URL('./marked-child.ts', import.meta.url));

/** What is slow to make, and shared by the tests of a file: a database and a pool of real decoder children. */
export async function useEngines(): Promise<{ database: Database; decoders: DecoderPool }> {
  const decoders = makeDecoderPool({
    size: 2,
    timeoutMs: 5000,
    memoryMb: 1024,
    recycleAfterJobs: 500,
    logger: keepingLogger(),
    childModule: markedChild,
  });
  await decoders.start();
  afterAll(() => decoders.close());
  return { database: await useDatabase(), decoders };
}

/** Settings of a rig. */
export interface RigOptions {
  readonly leaseSeconds?: number;
  readonly inlineMs?: number;
  /** What happens elsewhere just after an upload has found an image with its content. */
  readonly onKnown?: (imageId: number) => Promise<unknown>;
}

/** All parts of a Vitrine behind its doors, over an empty store: what a test may need of them. */
export type Rig = Awaited<ReturnType<typeof makeRig>>;

/** A rig for one test. */
export async function makeRig(
  { database, decoders }: { database: Database; decoders: DecoderPool },
  { leaseSeconds = 60, inlineMs = 10_000, onKnown }: RigOptions = {},
) {
  const root = await testFolder();
  const logger = keepingLogger();
  const storage = await makeLocalStorage(root);
  const staging = makeStaging(storage.stagingDirectory);
  const queue = makeInProcessQueue();
  const images = makeImageQueries(database);
  const jobs = makeJobQueries(database);
  const settlements = makeSettlements();
  const leases = makeLeaseKeeper({ jobs, leaseSeconds, logger });
  onTestFinished(() => leases.stop());
  const deriveImage = makeDeriveImage({ images, jobs, storage, staging, decoders, limits, presets });
  const runJob = makeRunJob({ jobs, deriveImage, leases, settlements, queue, logger });
  const waitForImage = makeWaitForImage({ images, settlements });
  const tenants = makeTenantQueries(database);
  const intake = makeIntakeQueries(database);
  const findByContent: typeof images.findByContent = async (tenantId, contentHash) => {
    const known = await images.findByContent(tenantId, contentHash);
    if (known) await onKnown?.(known.id);
    return known;
  };
  const ingest = makeIngestUpload({
    tenants,
    images: { ...images, findByContent },
    intake,
    storage,
    staging,
    decoders,
    queue,
    runJob,
    waitForImage,
    limits,
    leaseSeconds,
    inlineMs,
  });

  /** Sends bytes as an upload. */
  async function upload(bytes: Buffer, more: Partial<Omit<Upload, 'file'>> = {}) {
    const file = await staging.receive(Readable.from([bytes]));
    return ingest(openPrincipal, { file, filename: 'vase.jpg', tenantName: 'shop', mode: 'inline', ...more });
  }

  return {
    database,
    root,
    logger,
    storage,
    staging,
    queue,
    images,
    jobs,
    settlements,
    leases,
    runJob,
    waitForImage,
    sweeping: makeSweepQueries(database),
    upload,
    image: (id: number): Promise<ImageWithRenditions | undefined> => images.find(openPrincipal, { id }),
    /** Where a stored file lies on the disk. */
    pathOf: (key: string) => join(root, key),
    async storedKeys(): Promise<string[]> {
      const keys: string[] = [];
      for await (const { key } of storage.list()) keys.push(key);
      return keys.toSorted();
    },
  };
}
