import type { ImageQueries } from '../db/images.ts';
import type { JobQueries } from '../db/jobs.ts';
import { AppError } from '../errors.ts';
import type { DecoderPool, DerivedPicture } from '../imaging/pool/decoder-pool.ts';
import type { ClaimedJob } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Preset } from '../model/preset.ts';
import { systemPrincipal } from '../model/principal.ts';
import type { NewRendition } from '../model/rendition.ts';
import { renditionKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';
import { atStage } from './stages.ts';

interface Parts {
  readonly images: Pick<ImageQueries, 'findBare' | 'markDamaged'>;
  readonly jobs: Pick<JobQueries, 'complete'>;
  readonly storage: Storage;
  readonly staging: Staging;
  readonly decoders: Pick<DecoderPool, 'derive'>;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** What a job works on: known at once to who has just recorded it, read from the database by a worker. */
export interface DerivationSource {
  readonly contentHash: string;
  readonly originalKey: string;
}

/** `completed`, or why nothing was written: the image is gone, or another worker holds the job. */
export type DerivationOutcome = 'completed' | 'image-gone' | 'lease-lost';

/** Makes the renditions of an image: decode once, store the files, then one commit that shows them all. */
export type DeriveImage = (
  job: ClaimedJob,
  signal: AbortSignal,
  source?: DerivationSource,
) => Promise<DerivationOutcome>;

/** @see DeriveImage */
export function makeDeriveImage(parts: Parts): DeriveImage {
  const { images, jobs, staging } = parts;

  async function findSource(job: ClaimedJob): Promise<DerivationSource | undefined> {
    const image = await images.findBare(systemPrincipal, { id: job.imageId });
    if (!image?.originalKey || !image.contentHash) return undefined;
    return { contentHash: image.contentHash, originalKey: image.originalKey };
  }

  return async (job, signal, given) => {
    const source = given ?? (await findSource(job));
    if (!source) return 'image-gone';
    const derived = await atStage('decode', () => decode(parts, job, source, signal));
    try {
      const renditions = await atStage('store', () => storeRenditions(parts, job, source, derived));
      return (await jobs.complete(job, renditions)) ? 'completed' : 'lease-lost';
    } finally {
      await Promise.all(derived.renditions.map(({ path }) => staging.discard(path)));
    }
  };
}

async function decode(
  parts: Parts,
  job: ClaimedJob,
  source: DerivationSource,
  signal: AbortSignal,
): Promise<DerivedPicture> {
  const copy = await openOriginal(parts, job, source);
  try {
    return await parts.decoders.derive({
      path: copy.path,
      limits: parts.limits,
      presets: parts.presets,
      outputDirectory: parts.staging.directory,
      priority: job.priority,
      signal,
    });
  } finally {
    await copy.release();
  }
}

/** A missing original is damage: the row is marked and stays. */
async function openOriginal({ storage, images }: Parts, job: ClaimedJob, source: DerivationSource) {
  try {
    return await storage.localCopy(source.originalKey);
  } catch (error) {
    if (error instanceof AppError && error.code === 'original_missing') await images.markDamaged(job.imageId);
    throw error;
  }
}

async function storeRenditions(
  { storage, presets }: Parts,
  job: ClaimedJob,
  source: DerivationSource,
  derived: DerivedPicture,
): Promise<NewRendition[]> {
  const qualities = new Map(presets.map((preset) => [preset.name, preset.quality]));
  const renditions = derived.renditions.map(({ path, sha256, ...made }) => ({
    path,
    row: {
      ...made,
      storageKey: renditionKey(job.tenantId, source.contentHash, made.preset, made.recipe),
      contentHash: sha256,
      quality: qualities.get(made.preset) ?? 0,
      format: 'jpeg' as const,
    },
  }));
  await storage.store(renditions.map(({ path, row }) => ({ path, key: row.storageKey })));
  return renditions.map(({ row }) => row);
}
