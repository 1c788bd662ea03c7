import type { ImageQueries } from '../db/images/images.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError } from '../errors.ts';
import type { FetchPicture } from '../fetcher/fetch-picture.ts';
import { cleanFilename } from '../model/filename.ts';
import type { ClaimedJob } from '../model/job.ts';
import { originalKey } from '../storage/keys.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import type { DerivationOutcome, DeriveImage } from './derive-image.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { atStage } from './stages.ts';

interface Dependencies {
  readonly fetchPicture: FetchPicture;
  readonly images: Pick<ImageQueries, 'findByContent'>;
  readonly jobs: Pick<JobQueries, 'attachContent' | 'completeAsDuplicate'>;
  readonly inspectPicture: InspectPicture;
  readonly deriveImage: DeriveImage;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly assertFreeSpace: AssertFreeSpace;
}

/**
 * Fetches the original of an image from its URL, and derives it. Content that the tenant has already is shared and not
 * derived again. A try after the original was stored does not fetch it again.
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
    if (sourceUrl === null) return 'image-gone';
    const download = await atStage('fetch', () => fetchFile(deps, sourceUrl, signal));
    try {
      return (await shareKnown(deps, job, download)) ?? (await takeIn(deps, job, download, signal));
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
  throw new AppError('empty_file', 'The URL gave an empty file: it has 0 bytes.');
}

/** `undefined` when the content is new to the tenant, or its first image goes away at this moment. */
async function shareKnown(
  { images, jobs }: Dependencies,
  job: ClaimedJob,
  { file: { contentHash }, filename }: Download,
): Promise<DerivationOutcome | undefined> {
  const known = await images.findByContent(job.tenantId, contentHash);
  if (known?.status !== 'completed' || known.damaged) return undefined;
  const image = await jobs.completeAsDuplicate(job, { contentHash, filename });
  return image === 'first-unavailable' ? undefined : (image ?? 'lease-lost');
}

/** The way of an upload: inspect, store, record, derive. */
async function takeIn(
  deps: Dependencies,
  job: ClaimedJob,
  { file, filename }: Download,
  signal: AbortSignal,
): Promise<DerivationOutcome> {
  const { storage, jobs, deriveImage } = deps;
  const { contentHash, bytes } = file;
  const facts = await atStage('inspect', () => inspect(deps, file, job.tenantId));
  const original = { key: originalKey(job.tenantId, contentHash), contentHash };
  const staged = { path: file.path, key: original.key };
  await atStage('store', () => storage.store([staged], 'original'));
  const content = { contentHash, originalKey: original.key, bytes, filename, facts };
  if (!(await jobs.attachContent(job, content))) return 'lease-lost';
  // The same content was perhaps removed just before the row was there; from now on the row protects the file.
  if (!(await storage.stat(staged.key))) await storage.store([staged], 'original');
  return deriveImage({ ...job, original }, signal, file.path);
}

/** Whoever gave the URL never saw the file: the sentence says where it came from. */
async function inspect({ inspectPicture }: Dependencies, file: ReceivedFile, tenantId: number) {
  try {
    return await inspectPicture(file, tenantId);
  } catch (error) {
    if (!(error instanceof AppError) || error.status >= 500) throw error;
    throw new AppError(error.code, `The URL gave no usable image. ${error.message}`, { cause: error });
  }
}
