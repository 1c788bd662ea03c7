import { FileMissing } from '../errors.ts';
import type { DecoderPool } from '../imaging/pool/decoder-pool.ts';
import type { ImageRef, ImageWithRenditions } from '../model/image.ts';
import type { PictureLimits } from '../model/picture.ts';
import type { Principal } from '../model/principal.ts';
import type { PictureComparison } from '../model/quality.ts';
import type { ReceivedFile, Staging } from '../storage/staging.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';
import type { InspectPicture } from './inspect-picture.ts';
import { priorities } from './priorities.ts';
import { noOriginal, type RetrieveImage } from './retrieve-image.ts';

interface Dependencies {
  readonly retrieve: Pick<RetrieveImage, 'find'>;
  readonly inspectPicture: InspectPicture;
  readonly decoders: Pick<DecoderPool, 'compare'>;
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly staging: Pick<Staging, 'discard'>;
  readonly limits: PictureLimits;
}

/** How one stored picture differs from the uploaded one. */
export interface StoredComparison extends PictureComparison {
  /** Size of the stored file. */
  readonly bytes: number;
}

/** An image, and how its original and its renditions differ from a picture. */
export interface ImageComparison {
  readonly image: ImageWithRenditions;
  readonly comparisons: readonly StoredComparison[];
}

/**
 * Compares a picture with an image's original and with those renditions that are there. The received file is removed.
 * @throws {AppError} `image_not_found`, `rendition_not_ready` while the image has no original, and those of a bad file.
 */
export type CompareWithImage = (
  principal: Principal,
  reference: ImageRef,
  file: ReceivedFile,
) => Promise<ImageComparison>;

/** A stored file of the image, on this machine. */
interface StoredPicture {
  readonly name: string;
  readonly bytes: number;
  readonly copy: LocalCopy;
}

/** @see CompareWithImage */
export function makeCompareWithImage(deps: Dependencies): CompareWithImage {
  return async (principal, reference, file) => {
    const opened: StoredPicture[] = [];
    try {
      const image = await deps.retrieve.find(principal, reference);
      await deps.inspectPicture(file, image.tenantId);
      for (const { name, key, bytes } of picturesOf(image)) {
        const copy = await openIfThere(deps.storage, key);
        if (copy) opened.push({ name, bytes, copy });
      }
      return { image, comparisons: await compare(deps, file, opened, image.tenantId) };
    } finally {
      await Promise.all(opened.map(({ copy }) => copy.release()));
      await deps.staging.discard(file.path);
    }
  };
}

function picturesOf(image: ImageWithRenditions) {
  const { originalKey, originalBytes } = image;
  if (originalKey === null || originalBytes === null) throw noOriginal(image);
  return [
    { name: 'original', key: originalKey, bytes: originalBytes },
    ...image.renditions.map(({ preset, storageKey, bytes }) => ({ name: preset, key: storageKey, bytes })),
  ];
}

/** A file that is missing is left out: a read of it has it made again, or marks the image as damaged. */
async function openIfThere(storage: Dependencies['storage'], key: string): Promise<LocalCopy | undefined> {
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
  const bytes = new Map(pictures.map((picture) => [picture.name, picture.bytes]));
  return comparisons.map((comparison) => ({ ...comparison, bytes: bytes.get(comparison.name) ?? 0 }));
}
