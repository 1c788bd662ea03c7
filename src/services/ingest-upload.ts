import type { ImageQueries } from '../db/images/images.ts';
import type { EnqueuedUpload } from '../db/jobs/enqueue.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { TenantQueries } from '../db/tenants.ts';
import { AppError } from '../errors.ts';
import { cleanFilename } from '../model/filename.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureFacts } from '../model/picture.ts';
import { type Principal, systemPrincipal } from '../model/principal.ts';
import type { Tenant } from '../model/tenant.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { originalKey } from '../storage/keys.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { ensureTenant } from './find-tenant.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { priorities } from './priorities.ts';
import type { JobOutcome, RunJob } from './run-job.ts';
import { imageDeleted, type WaitForImage } from './wait-for-image.ts';

interface Dependencies {
  readonly tenants: TenantQueries;
  readonly images: Pick<ImageQueries, 'find' | 'findByContent' | 'acknowledge' | 'clearDamaged'>;
  readonly jobs: Pick<JobQueries, 'enqueueUpload' | 'withdraw'>;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly inspectPicture: InspectPicture;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly runJob: RunJob;
  readonly waitForImage: WaitForImage;
  readonly leaseSeconds: number;
  readonly inlineMs: number;
}

/** A file that arrived, and what its sender wants done with it. */
export interface Upload {
  readonly file: ReceivedFile;
  readonly filename: string;
  readonly tenantName: string;
  /** `inline`: answer when the renditions are there. `queued`: answer at once, a worker makes them. */
  readonly mode: 'inline' | 'queued';
}

/** What an upload led to. */
export interface Ingested {
  /** `known`: the tenant has this content already. `again`: it had failed and is tried again. */
  readonly outcome: 'new' | 'again' | 'known';
  readonly image: ImageWithRenditions;
  readonly jobId: number | undefined;
}

/**
 * Takes an upload in: file first, then one commit, then the wake-up, then the answer. Safe to repeat: the same bytes of
 * the same tenant lead to the same image. The received file is removed, whatever happens.
 * @throws {AppError} with what is wrong with the file; nothing of it is kept, unless the same image was returned to
 *   another client. `image_deleted` if the image was deleted before this could return.
 */
export type IngestUpload = (principal: Principal, upload: Upload) => Promise<Ingested>;

/**
 * Attempts to ingest an upload as new after its known image was removed meanwhile. Each process that receives the same
 * broken picture concurrently may cost the others an attempt.
 */
const ingestTries = 20;

/** @see IngestUpload */
export function makeIngestUpload(deps: Dependencies): IngestUpload {
  return async (principal, upload) => {
    const readers: Promise<unknown>[] = [];
    try {
      const tenant = await ensureTenant(deps.tenants, principal, upload.tenantName);
      for (let tries = 0; tries < ingestTries; tries++) {
        const ingested = await ingestOnce({ ...deps, readers }, upload, tenant);
        if (ingested) return ingested;
      }
      throw new AppError(
        'unavailable',
        'Images with these bytes went away again and again while this upload waited for them: they were deleted, or could not be decoded. Send it once more.',
      );
    } finally {
      // A job that is slower than its answer still reads the file. What is left over a stop is swept from staging.
      const discarded = Promise.allSettled(readers).then(() => deps.staging.discard(upload.file.path));
      if (readers.length === 0) await discarded;
      else discarded.catch(() => undefined);
    }
  };
}

/** `undefined` when the image that had this content went away in the middle: then the way is free. */
async function ingestOnce(deps: Reading, upload: Upload, tenant: Tenant): Promise<Ingested | undefined> {
  const known = await deps.images.findByContent(tenant.id, upload.file.contentHash);
  if (known && known.status !== 'failed' && !known.damaged) return answerKnown(deps, upload, known.id);
  const facts = await deps.inspectPicture(upload.file, tenant.id);
  return ingestNew(deps, upload, tenant, facts);
}

/** With the jobs that read the received file. */
type Reading = Dependencies & { readonly readers: Promise<unknown>[] };

async function ingestNew(
  deps: Reading,
  upload: Upload,
  tenant: Tenant,
  facts: PictureFacts,
): Promise<Ingested | undefined> {
  const recorded = await storeAndRecord(deps, upload, tenant, facts);
  if (recorded.outcome === 'known') {
    await deps.images.clearDamaged(recorded.imageId);
    return answerKnown(deps, upload, recorded.imageId);
  }
  const { outcome, job } = recorded;
  return upload.mode === 'inline' ? runInline(deps, upload, outcome, job) : enqueue(deps, outcome, job);
}

async function storeAndRecord(
  deps: Dependencies,
  upload: Upload,
  tenant: Tenant,
  facts: PictureFacts,
): Promise<EnqueuedUpload> {
  const { storage, jobs, leaseSeconds } = deps;
  const { file, filename, mode } = upload;
  const staged = { path: file.path, key: originalKey(tenant.id, file.contentHash) };
  await storage.store([staged], 'original');
  const recorded = await jobs.enqueueUpload({
    tenantId: tenant.id,
    contentHash: file.contentHash,
    filename: cleanFilename(filename),
    originalKey: staged.key,
    bytes: file.bytes,
    facts,
    priority: mode === 'inline' ? priorities.inline : priorities.single,
    leaseSeconds: mode === 'inline' ? leaseSeconds : undefined,
  });
  // The same content was perhaps removed just before the row was there; from now on the row protects the file.
  if (!(await storage.stat(staged.key))) await storage.store([staged], 'original');
  return recorded;
}

async function loadImage(images: Dependencies['images'], imageId: number): Promise<ImageWithRenditions> {
  const image = await images.find(systemPrincipal, { id: imageId });
  if (!image) throw imageDeleted(imageId);
  return image;
}

const isBusy = ({ status }: ImageWithRenditions) => status === 'pending' || status === 'processing';

/**
 * An inline response is complete: it waits for the process that makes the renditions. An image that is returned
 * unfinished is acknowledged first, so that it stays in any case.
 */
async function answerKnown(
  deps: Dependencies,
  { mode }: Upload,
  imageId: number,
): Promise<Ingested | undefined> {
  const known = await deps.images.find(systemPrincipal, { id: imageId });
  if (!known) return undefined;
  const image = isBusy(known) && mode === 'inline' ? await waitForKnown(deps, imageId) : known;
  if (!image) return undefined;
  if (isBusy(image) && (await deps.images.acknowledge(imageId)) !== 'acknowledged') return undefined;
  return { outcome: 'known', image, jobId: undefined };
}

/** `undefined` if the image was removed: the bytes are available and can be inspected again. */
async function waitForKnown(
  { waitForImage, inlineMs }: Dependencies,
  imageId: number,
): Promise<ImageWithRenditions | undefined> {
  try {
    return await waitForImage(imageId, inlineMs);
  } catch (error) {
    if (isDeleted(error)) return undefined;
    throw error;
  }
}

function isDeleted(error: unknown): boolean {
  return error instanceof AppError && error.code === 'image_deleted';
}

async function enqueue(deps: Dependencies, outcome: 'new' | 'again', job: ClaimedJob): Promise<Ingested> {
  deps.queue.wake([job]);
  return { outcome, image: await loadImage(deps.images, job.imageId), jobId: job.id };
}

/**
 * Runs the job in this request. A picture that cannot be decoded leaves no image, unless it is visible to others; if
 * the job takes longer than `inlineMs` for any other reason, the image is returned unfinished, and a worker completes
 * it.
 */
async function runInline(
  deps: Reading,
  upload: Upload,
  outcome: 'new' | 'again',
  job: ClaimedJob,
): Promise<Ingested> {
  const { runJob, storage, jobs, inlineMs, readers } = deps;
  const { contentHash, path } = upload.file;
  const key = originalKey(job.tenantId, contentHash);
  const takeBack = () => jobs.withdraw(job, { contentHash, removeOriginal: () => storage.remove(key) });
  const waiting = deps.waitForImage(job.imageId, inlineMs);
  const onFinalFailure = outcome === 'new' ? { onFinalFailure: takeBack } : {};
  const run = runJob(job, { localPath: path, ...onFinalFailure });
  readers.push(run);
  return { outcome, image: await settle(deps, job.imageId, waiting, run), jobId: job.id };
}

/** The image after the wait, or the reason why there is none. */
async function settle(
  deps: Dependencies,
  imageId: number,
  waiting: Promise<ImageWithRenditions>,
  run: Promise<JobOutcome>,
): Promise<ImageWithRenditions> {
  const image = await waiting.catch((error: unknown) => {
    if (isDeleted(error)) return undefined;
    throw error;
  });
  if (image && !isBusy(image)) return image;
  const found = await deps.images.acknowledge(imageId);
  if (found === 'acknowledged') return image ?? loadImage(deps.images, imageId);
  // A missing row was either withdrawn, by this run, which then fails with the reason, or purged.
  const ended = found === 'missing' ? await run : undefined;
  throw ended?.state === 'failed' ? ended.error : imageDeleted(imageId);
}
