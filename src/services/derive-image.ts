import type { ImageQueries } from '../db/images.ts';
import type { JobQueries } from '../db/jobs.ts';
import { AppError } from '../errors.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import type { NewRendition } from '../model/rendition.ts';
import { renditionKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import { atStage } from './stages.ts';

interface Parts {
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly jobs: Pick<JobQueries, 'complete'>;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly decoders: Pick<DecoderPool, 'derive'>;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** The finished image, or why nothing was written: the image is gone, or another worker holds the job. */
export type DerivationOutcome = ImageWithRenditions | 'image-gone' | 'lease-lost';

/**
 * Makes the renditions of an image: decode once, store the files, then one commit that shows them all.
 * @param localPath the original on this machine, when the caller has it at hand.
 */
export type DeriveImage = (
  job: ClaimedJob,
  signal: AbortSignal,
  localPath?: string,
) => Promise<DerivationOutcome>;

/** @see DeriveImage */
export function makeDeriveImage(parts: Parts): DeriveImage {
  return async (job, signal, localPath) => {
    const { original } = job;
    if (!original) return 'image-gone';
    const derived = await atStage('decode', () => decode(parts, job, original.key, signal, localPath));
    const renditions = await atStage('store', () =>
      storeRenditions(parts, job, original.contentHash, derived),
    );
    return (await parts.jobs.complete(job, renditions)) ?? 'lease-lost';
  };
}

async function decode(
  parts: Parts,
  job: ClaimedJob,
  key: string,
  signal: AbortSignal,
  localPath?: string,
): Promise<DerivedPicture> {
  const copy = localPath === undefined ? await openOriginal(parts, job, key) : undefined;
  try {
    return await parts.decoders.derive({
      path: localPath ?? copy?.path ?? '',
      limits: parts.limits,
      presets: parts.presets,
      outputDirectory: parts.staging.directory,
      priority: job.priority,
      signal,
    });
  } finally {
    await copy?.release();
  }
}

/** A missing original is damage: the row is marked and stays. */
async function openOriginal({ storage, images }: Parts, job: ClaimedJob, key: string): Promise<LocalCopy> {
  try {
    return await storage.localCopy(key);
  } catch (error) {
    if (error instanceof AppError && error.code === 'original_missing') await images.markDamaged(job.imageId);
    throw error;
  }
}

async function storeRenditions(
  { storage, staging, presets }: Parts,
  job: ClaimedJob,
  contentHash: string,
  derived: DerivedPicture,
): Promise<NewRendition[]> {
  const qualities = new Map(presets.map((preset) => [preset.name, preset.quality]));
  const renditions = derived.renditions.map(({ sha256, path: _path, ...made }) => ({
    ...made,
    storageKey: renditionKey(job.tenantId, contentHash, made.preset, made.recipe),
    contentHash: sha256,
    quality: qualities.get(made.preset) ?? 0,
    format: 'jpeg' as const,
  }));
  const files = derived.renditions.map(({ path }, index) => ({
    path,
    key: renditions[index]?.storageKey ?? '',
  }));
  try {
    await storage.store(files, 'derived');
  } catch (error) {
    await Promise.all(files.map(({ path }) => staging.discard(path)));
    throw error;
  }
  return renditions;
}
