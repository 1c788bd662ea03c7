import type { ImageQueries } from '../db/images/images.ts';
import type { EnqueuedUpload, NewUpload } from '../db/jobs/enqueue.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { QuotaQueries } from '../db/quotas.ts';
import type { TenantQueries } from '../db/tenants.ts';
import { AppError } from '../errors.ts';
import { cleanFilename } from '../model/filename.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import { type ClaimedJob, priorities } from '../model/job.ts';
import { type Principal, systemPrincipal } from '../model/principal.ts';
import { limitsStorage } from '../model/quota.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { assertNotDeleted, imageDeleted } from './image-errors.ts';
import type { InspectPicture } from './inspect-picture.ts';
import type { JobOutcome, RunJob } from './run-job.ts';
import type { FindQuotas } from './settings-cache.ts';
import { storeOriginal } from './store-original.ts';
import { ensureTenant } from './tenants.ts';
import type { WaitForImage } from './wait-for-image.ts';

interface Dependencies {
  readonly tenants: TenantQueries;
  readonly images: Pick<ImageQueries, 'find' | 'findByContent' | 'acknowledge' | 'clearDamaged'>;
  readonly jobs: Pick<JobQueries, 'enqueueUpload'>;
  readonly storage: Pick<Storage, 'store' | 'stat'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly inspectPicture: InspectPicture;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly runJob: RunJob;
  readonly waitForImage: WaitForImage;
  readonly findQuotas: FindQuotas;
  readonly quotas: Pick<QuotaQueries, 'assertRoom'>;
  readonly leaseSeconds: number;
  /** Time limit of an inline upload. */
  readonly inlineMs: number;
}

/** A received file, and how to ingest it. */
export interface Upload {
  readonly file: ReceivedFile;
  readonly filename: string;
  /** Default: the caller's tenant, or else the tenant `default`. */
  readonly tenantName?: string | undefined;
  /** `inline`: respond when the renditions are ready. `queued`: respond immediately and let a worker create them. */
  readonly mode: 'inline' | 'queued';
}

/** The result of an upload. */
export interface IngestResult {
  /** `known`: the tenant already has this content. `retried`: the image had failed and is processed again. */
  readonly outcome: 'new' | 'retried' | 'known';
  readonly image: ImageWithRenditions;
  readonly jobId: number | undefined;
}

/**
 * Ingests an upload: stores the original, records the image with its job, and runs the job or wakes a worker. Uploads
 * are idempotent: uploading the same bytes again for the same tenant yields the same image. The received file is always
 * discarded.
 * @throws {AppError} if the file is not a valid picture (nothing is then kept, unless another client has received the
 *   same image); `image_deleted` if the image was deleted before this function returned; `quota_exceeded` if the tenant
 *   has no room for a new image.
 */
export type IngestUpload = (principal: Principal, upload: Upload) => Promise<IngestResult>;

/**
 * Maximum number of attempts to ingest an upload if the existing image with this content keeps being removed. Each
 * process that receives the same corrupt picture at the same time can make one attempt fail.
 */
const maxAttempts = 20;

/** An upload whose job may still be running. */
interface StartedUpload extends Omit<IngestResult, 'image'> {
  readonly image: ImageWithRenditions | Promise<ImageWithRenditions>;
  /** Resolves when no job reads the received file any more; `undefined` if no job received it. */
  readonly whenFinished?: Promise<unknown>;
}

/** @see IngestUpload */
export function makeIngestUpload(deps: Dependencies): IngestUpload {
  return async (principal, upload) => {
    let startedUpload: StartedUpload | undefined;
    try {
      startedUpload = await startUpload(deps, principal, upload);
      const { outcome, jobId } = startedUpload;
      return { outcome, jobId, image: await startedUpload.image };
    } finally {
      await discardFile(deps, upload.file, startedUpload?.whenFinished);
    }
  };
}

/**
 * Discards the received file as soon as no job reads it any more, which may be after the response. If the process stops
 * before that, a sweep of staging removes the file.
 */
async function discardFile(
  { staging }: Dependencies,
  { path }: ReceivedFile,
  whenFinished: Promise<unknown> | undefined,
): Promise<void> {
  if (!whenFinished) return staging.discard(path);
  void whenFinished.then(() => staging.discard(path)).catch(() => undefined);
}

async function startUpload(deps: Dependencies, principal: Principal, upload: Upload): Promise<StartedUpload> {
  const { id: tenantId } = await ensureTenant(deps.tenants, principal, upload.tenantName);
  for (let attempt = 0; attempt < maxAttempts; attempt++) {
    const startedUpload = await tryUpload(deps, principal, upload, tenantId);
    if (startedUpload) return startedUpload;
  }
  throw new AppError(
    'unavailable',
    'Images with this content repeatedly failed or were deleted while this upload was waiting for them. Send the file again.',
  );
}

/** Returns `undefined` if the existing image with this content has been removed. The caller can then try again. */
async function tryUpload(
  deps: Dependencies,
  principal: Principal,
  upload: Upload,
  tenantId: number,
): Promise<StartedUpload | undefined> {
  const knownImage = await deps.images.findByContent(tenantId, upload.file.contentHash);
  if (knownImage && knownImage.status !== 'failed' && !knownImage.damaged)
    return returnKnown(deps, upload, knownImage.id);
  const quotas = await deps.findQuotas(tenantId);
  // Checked here too, so that a file that is rejected does not stay in storage until a sweep.
  if (!knownImage && limitsStorage(quotas))
    await deps.quotas.assertRoom(tenantId, quotas, { images: 1, bytes: upload.file.bytes });
  const facts = await deps.inspectPicture(upload.file, tenantId);
  const enqueuedUpload = await storeOriginal(deps.storage, tenantId, upload.file, (originalKey) =>
    enqueue(deps, upload, { actor: principal, tenantId, originalKey, facts, quotas }),
  );
  if (enqueuedUpload.outcome === 'known') {
    await deps.images.clearDamaged(enqueuedUpload.imageId);
    return returnKnown(deps, upload, enqueuedUpload.imageId);
  }
  const { outcome, job } = enqueuedUpload;
  if (upload.mode === 'inline')
    return { outcome, jobId: job.id, ...runInline(deps, upload.file, job, outcome === 'new') };
  deps.queue.wake([job]);
  return { outcome, jobId: job.id, image: await loadImage(deps, job.imageId) };
}

function enqueue(
  { jobs, leaseSeconds }: Dependencies,
  { file, filename, mode }: Upload,
  recorded: Pick<NewUpload, 'actor' | 'tenantId' | 'originalKey' | 'facts' | 'quotas'>,
): Promise<EnqueuedUpload> {
  return jobs.enqueueUpload({
    ...recorded,
    contentHash: file.contentHash,
    filename: cleanFilename(filename),
    bytes: file.bytes,
    priority: mode === 'inline' ? priorities.inline : priorities.single,
    leaseSeconds: mode === 'inline' ? leaseSeconds : undefined,
  });
}

/**
 * Returns an existing image. For an inline upload, first waits for its renditions. Before an unfinished image is
 * returned, records that a client has received it, so that the image is kept even if its job fails.
 */
async function returnKnown(
  deps: Dependencies,
  { mode }: Upload,
  imageId: number,
): Promise<StartedUpload | undefined> {
  const knownImage = await deps.images.find(systemPrincipal, { id: imageId });
  if (!knownImage) return undefined;
  const image =
    isUnfinished(knownImage) && mode === 'inline'
      ? await undefinedIfDeleted(deps.waitForImage(imageId, deps.inlineMs))
      : knownImage;
  if (!image) return undefined;
  if (isUnfinished(image) && (await deps.images.acknowledge(imageId)) !== 'acknowledged') return undefined;
  return { outcome: 'known', image, jobId: undefined };
}

/** Starts an upload's job in this process. Removes a new image if its job fails permanently. */
function runInline(deps: Dependencies, { path }: ReceivedFile, job: ClaimedJob, isNew: boolean) {
  const run = deps.runJob(job, { localPath: path, discardOnFailure: isNew });
  return { image: waitForRun(deps, job.imageId, run), whenFinished: run };
}

/**
 * Waits for a run to finish the image, for at most `inlineMs`. After that, returns the unfinished image while the run
 * continues.
 * @throws {AppError} the reason if the run failed; `image_deleted` if the image has been deleted.
 */
async function waitForRun(
  deps: Dependencies,
  imageId: number,
  run: Promise<JobOutcome>,
): Promise<ImageWithRenditions> {
  // `imageWait` ends at the time limit or when the image is deleted. It is also used if this run loses its lease and
  // another worker takes over the job.
  const imageWait = deps.waitForImage(imageId, deps.inlineMs);
  const runResult = run.then((outcome) => {
    if (outcome.state === 'completed' && outcome.image) return assertNotDeleted(outcome.image);
    if (outcome.state === 'failed') throw outcome.error;
    return imageWait;
  });
  const image = await undefinedIfDeleted(Promise.race([runResult, imageWait]));
  if (image && !isUnfinished(image)) return image;
  const state = await deps.images.acknowledge(imageId);
  if (state === 'acknowledged') return image ?? loadImage(deps, imageId);
  // Either this run has failed and removed the row, or a purge has removed it.
  const outcome = state === 'missing' ? await run : undefined;
  throw outcome?.state === 'failed' ? outcome.error : imageDeleted(imageId);
}

const isUnfinished = ({ status }: ImageWithRenditions) => status === 'pending' || status === 'processing';

/** Resolves to `undefined` if the image has been deleted. */
async function undefinedIfDeleted(
  image: Promise<ImageWithRenditions>,
): Promise<ImageWithRenditions | undefined> {
  try {
    return await image;
  } catch (error) {
    if (error instanceof AppError && error.code === 'image_deleted') return undefined;
    throw error;
  }
}

async function loadImage({ images }: Dependencies, imageId: number): Promise<ImageWithRenditions> {
  const image = await images.find(systemPrincipal, { id: imageId });
  if (!image) throw imageDeleted(imageId);
  return image;
}
