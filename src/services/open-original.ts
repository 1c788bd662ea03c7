import type { ImageQueries } from '../db/images/images.ts';
import { AppError, FileMissing } from '../errors.ts';
import type { LocalCopy, Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly storage: Pick<Storage, 'localCopy'>;
  readonly images: Pick<ImageQueries, 'markDamaged'>;
}

/**
 * Opens an original as a local file. Marks the image as damaged if the original is missing.
 * @throws {AppError} `original_missing`.
 */
export async function openOriginal(
  { storage, images }: Dependencies,
  imageId: number,
  key: string,
): Promise<LocalCopy> {
  try {
    return await storage.localCopy(key);
  } catch (error) {
    if (!(error instanceof FileMissing)) throw error;
    await images.markDamaged(imageId);
    throw new AppError('original_missing', `The original of image ${imageId} is missing from storage.`, {
      cause: error,
    });
  }
}
