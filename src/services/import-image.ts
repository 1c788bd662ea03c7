import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import type { QuotaQueries } from '../db/quotas.ts';
import { AppError } from '../errors.ts';
import type { FetchPicture } from '../fetcher/fetch-picture.ts';
import { cleanFilename } from '../model/filename.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { DerivationOutcome, DeriveImage } from './derive-image.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { atStage } from './job-failures.ts';
import type { FindQuotas } from './settings-cache.ts';
import { storeOriginal } from './store-original.ts';

interface Dependencies {
  readonly fetchPicture: FetchPicture;
  readonly images: Pick<ImageQueries, 'findByContent'>;
  readonly jobs: Pick<JobQueries, 'attachContent' | 'completeAsDuplicate'>;
  readonly inspectPicture: InspectPicture;
  readonly deriveImage: DeriveImage;
  readonly storage: Pick<Storage, 'store' | 'stat'>;
  readonly staging: Pick<Staging, 'receive' | 'discard'>;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly findQuotas: FindQuotas;
  readonly quotas: Pick<QuotaQueries, 'assertRoom'>;
}

/**
 * Downloads an image's original from its URL and derives the renditions. If the tenant already has an image with this
 * content, the new image shares the existing files. A retry does not download the original again if it has already been
 * stored.
 */
export type ImportImage = (job: ClaimedJob, signal: AbortSignal) => Promise<DerivationOutcome>;

interface Download {
  readonly file: ReceivedFile;
  readonly filename: string;
}

/** @see ImportImage */
export function makeImportImage(deps: Dependencies): ImportImage {
  return async (job, signal) => {
    if (job.original) return deps.deriveImage(job, signal);
    const { sourceUrl } = job;
    if (sourceUrl === null) return 'image-removed';
    const download = await atStage('fetch', () => fetchFile(deps, sourceUrl, signal));
    try {
      return (await shareExisting(deps, job, download)) ?? (await ingest(deps, job, download, signal));
    } finally {
      await deps.staging.discard(download.file.path);
    }
  };
}

async function fetchFile(
  { fetchPicture, staging, assertFreeSpace }: Dependencies,
  url: string,
  signal: AbortSignal,
): Promise<Download> {
  await assertFreeSpace();
  const { body, filename } = await fetchPicture(url, signal);
  const file = await staging.receive(body);
  if (file.bytes > 0) return { file, filename: cleanFilename(filename ?? 'unnamed') };
  await staging.discard(file.path);
  throw new AppError('empty_file', 'The URL returned an empty file.');
}

/**
 * Completes the image with the files of an existing image. Returns `undefined` if the tenant has no usable image with
 * this content.
 */
async function shareExisting(
  { images, jobs }: Dependencies,
  job: ClaimedJob,
  { file: { contentHash }, filename }: Download,
): Promise<DerivationOutcome | undefined> {
  const existingImage = await images.findByContent(job.tenantId, contentHash);
  if (existingImage?.status !== 'completed' || existingImage.damaged) return undefined;
  const image = await jobs.completeAsDuplicate(job, { contentHash, filename });
  return image === 'first-image-unavailable' ? undefined : (image ?? 'lease-lost');
}

/** Inspects and stores new content, then derives its renditions, as for an upload. */
async function ingest(
  deps: Dependencies,
  job: ClaimedJob,
  { file, filename }: Download,
  signal: AbortSignal,
): Promise<DerivationOutcome> {
  const { storage, jobs, deriveImage } = deps;
  const { contentHash, bytes } = file;
  const quotas = await deps.findQuotas(job.tenantId);
  if (quotas.bytes !== null)
    await atStage('store', () => deps.quotas.assertRoom(job.tenantId, quotas, { bytes }));
  const facts = await atStage('inspect', () => inspect(deps, file, job.tenantId));
  const original = await storeOriginal(storage, job.tenantId, file, async (key) => {
    const isAttached = await jobs.attachContent(job, {
      contentHash,
      originalKey: key,
      bytes,
      filename,
      facts,
      quotas,
    });
    return isAttached ? { key, contentHash } : undefined;
  });
  return original ? deriveImage({ ...job, original }, signal, file.path) : 'lease-lost';
}

/** Inspects the file. Error messages mention the URL, because the client did not send the file itself. */
async function inspect({ inspectPicture }: Dependencies, file: ReceivedFile, tenantId: number) {
  try {
    return await inspectPicture(file, tenantId);
  } catch (error) {
    if (!(error instanceof AppError) || error.status >= 500) throw error;
    throw new AppError(error.code, `The URL returned no usable image. ${error.message}`, { cause: error });
  }
}
