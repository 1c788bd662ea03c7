import type { ImageQueries } from '../../db/images/images.ts';
import type { StoredFileQueries } from '../../db/images/stored-files.ts';
import type { RecordedVariants, VariantQueries } from '../../db/renditions/variants.ts';
import type { DecoderPool } from '../../imaging/pool/decoder-pool.ts';
import type { Image } from '../../model/image.ts';
import type { ClaimedJob } from '../../model/job.ts';
import type { PictureLimits } from '../../model/picture.ts';
import type { Variant } from '../../model/preset.ts';
import type { NewRendition } from '../../model/rendition.ts';
import { parseKey, renditionKey } from '../../storage/keys.ts';
import type { Staging } from '../../storage/staging.ts';
import type { Storage } from '../../storage/storage.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { noOriginal } from '../image-errors.ts';
import { atStage } from '../job-failures.ts';
import { openOriginal } from '../open-original.ts';
import type { MadeFiles } from './made-files.ts';
import { describeVariant } from './variants.ts';

interface Dependencies {
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly variants: Pick<VariantQueries, 'record'>;
  readonly storedFiles: Pick<StoredFileQueries, 'removeUnused'>;
  readonly storage: Pick<Storage, 'localCopy' | 'store' | 'stat' | 'remove'>;
  readonly staging: Pick<Staging, 'directory' | 'discard'>;
  readonly decoders: Pick<DecoderPool, 'render'>;
  readonly metrics: Pick<Metrics, 'recordRendition'>;
  readonly madeFiles: Pick<MadeFiles, 'add'>;
  readonly limits: PictureLimits;
}

/** Which variants of an image to make, and for whom. */
export interface RenderRequest {
  readonly image: Image;
  readonly variants: readonly Variant[];
  readonly priority: number;
  readonly purpose: 'intake' | 'delivery';
  /** Aborts by killing the decoder. */
  readonly signal?: AbortSignal | undefined;
  /** The job that makes them, if there is one. */
  readonly job?: ClaimedJob | undefined;
}

/**
 * Makes variants of an image from one decode, stores their files and records them. Files that cannot be recorded are removed,
 * unless something else uses them.
 * @throws {AppError} the errors of `DecoderPool.render`; `original_missing`; storage and database errors.
 */
export type RenderVariants = (request: RenderRequest) => Promise<RecordedVariants>;

/** @see RenderVariants */
export function makeRenderVariants(deps: Dependencies): RenderVariants {
  return async (request) => {
    const { image, job } = request;
    const files = await atStage('decode', () => render(deps, request));
    try {
      await atStage('store', () => deps.storage.store(files, 'derived'));
    } catch (error) {
      await Promise.all(files.map(({ path }) => deps.staging.discard(path)));
      throw error;
    }
    const recorded = await deps.variants.record({
      imageId: image.id,
      renditions: files.map(({ rendition }) => rendition),
      focalPoint: image.focalPoint,
      job,
      hasFiles: () => areStored(deps, files),
    });
    if (typeof recorded === 'string') await removeFiles(deps, files);
    return recorded;
  };
}

/** A rendition in staging, and its row. */
interface RenderedFile {
  readonly path: string;
  readonly key: string;
  readonly rendition: NewRendition;
}

async function render(deps: Dependencies, request: RenderRequest): Promise<RenderedFile[]> {
  const { image, variants, priority, purpose, signal } = request;
  const { contentHash, tenantId, focalPoint, originalKey } = image;
  if (contentHash === null || originalKey === null) throw noOriginal(image);
  const copy = await openOriginal(deps, image.id, originalKey);
  try {
    const { renditions, data } = await deps.decoders.render({
      path: copy.path,
      limits: deps.limits,
      variants,
      focalPoint,
      outputDirectory: deps.staging.directory,
      priority,
      purpose,
      tenant: tenantId,
      ...(signal && { signal }),
    });
    return renditions.map(({ path, sha256, ...rendition }, index) => {
      const { preset, recipe, format, density } = rendition;
      const variant = variants[index];
      if (!variant) throw new Error('The decoder returned more renditions than were requested.');
      deps.metrics.recordRendition({ preset, format });
      const bytes = data[index];
      if (purpose === 'delivery' && bytes) deps.madeFiles.add(sha256, bytes);
      const key = renditionKey(tenantId, contentHash, preset, recipe, format, density);
      const row = { ...rendition, ...describeVariant(variant), contentHash: sha256, storageKey: key };
      return { path, key, rendition: row };
    });
  } finally {
    await copy.release();
  }
}

async function areStored({ storage }: Dependencies, files: readonly RenderedFile[]): Promise<boolean> {
  const stored = await Promise.all(files.map(({ key }) => storage.stat(key)));
  return stored.every((file, index) => file?.bytes === files[index]?.rendition.bytes);
}

async function removeFiles(
  { storage, storedFiles }: Dependencies,
  files: readonly RenderedFile[],
): Promise<void> {
  for (const { key } of files) {
    const file = parseKey(key);
    if (file) await storedFiles.removeUnused(file, () => storage.remove(key));
  }
}
