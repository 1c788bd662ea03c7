import { FileMissing } from '../errors.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { ImageRef, ImageWithRenditions } from '../model/image.ts';
import { priorities } from '../model/job.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Principal } from '../model/principal.ts';
import type { PictureComparison } from '../model/quality.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import { noOriginal } from './image-errors.ts';
import type { InspectPicture } from './inspect-picture.ts';
import type { RetrieveImage } from './retrieve-image.ts';

interface Dependencies {
  readonly retrieve: Pick<RetrieveImage, 'find'>;
  readonly inspectPicture: InspectPicture;
  readonly decoders: Pick<DecoderPool, 'compare'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly limits: PictureLimits;
}

/** Comparison of a stored file with the uploaded picture. */
export interface StoredComparison extends PictureComparison {
  /** Size of the stored file. */
  readonly bytes: number;
}

/** The comparisons of an image's original and renditions with the uploaded picture. */
export interface ImageComparison {
  readonly image: ImageWithRenditions;
  readonly comparisons: readonly StoredComparison[];
}

/**
 * Compares an uploaded picture with an image's original and renditions. Discards the received file.
 * @throws {AppError} `image_not_found`; `rendition_not_ready` if the image has no original; the errors of
 *   `InspectPicture`.
 */
export type CompareWithImage = (
  principal: Principal,
  imageRef: ImageRef,
  file: ReceivedFile,
) => Promise<ImageComparison>;

/** A local copy of the image's original or of one of its renditions. */
interface StoredPicture {
  readonly name: string;
  readonly bytes: number;
  readonly copy: LocalCopy;
}

/** @see CompareWithImage */
export function makeCompareWithImage(deps: Dependencies): CompareWithImage {
  return async (principal, imageRef, file) => {
    const storedPictures: StoredPicture[] = [];
    try {
      const image = await deps.retrieve.find(principal, imageRef);
      await deps.inspectPicture(file, image.tenantId);
      for (const { name, key, bytes } of listStoredFiles(image)) {
        const copy = await openIfStored(deps.storage, key);
        if (copy) storedPictures.push({ name, bytes, copy });
      }
      return { image, comparisons: await compare(deps, file, storedPictures, image.tenantId) };
    } finally {
      await Promise.all(storedPictures.map(({ copy }) => copy.release()));
      await deps.staging.discard(file.path);
    }
  };
}

function listStoredFiles(image: ImageWithRenditions) {
  const { originalKey, originalBytes } = image;
  if (originalKey === null || originalBytes === null) throw noOriginal(image);
  return [
    { name: 'original', key: originalKey, bytes: originalBytes },
    ...image.renditions
      .filter(({ isListed }) => isListed)
      .map(({ preset, storageKey, bytes }) => ({ name: preset, key: storageKey, bytes })),
  ];
}

/** Returns `undefined` for a missing file. A request for the file itself reports and repairs the problem. */
async function openIfStored(storage: Dependencies['storage'], key: string): Promise<LocalCopy | undefined> {
  try {
    return await storage.localCopy(key);
  } catch (error) {
    if (error instanceof FileMissing) return undefined;
    throw error;
  }
}

async function compare(
  { decoders, limits }: Dependencies,
  file: ReceivedFile,
  pictures: readonly StoredPicture[],
  tenant: number,
): Promise<StoredComparison[]> {
  const others = pictures.map(({ name, copy }) => ({ name, path: copy.path }));
  const { comparisons } = await decoders.compare({
    path: file.path,
    limits,
    others,
    priority: priorities.inline,
    tenant,
  });
  const bytesByName = new Map(pictures.map(({ name, bytes }) => [name, bytes]));
  return comparisons.map((comparison) => ({
    ...comparison,
    bytes: bytesByName.get(comparison.name) ?? 0,
  }));
}
