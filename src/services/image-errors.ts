import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';

/**
 * Returns the error for an image that does not exist or that the caller may not see. The caller cannot tell the two
 * cases apart.
 */
export function imageNotFound(image: ImageRef): AppError {
  return new AppError('image_not_found', `There is no image ${'id' in image ? image.id : image.uuid}.`);
}

/** Returns the error for an upload whose image was deleted before the response. The uploaded picture may be valid. */
export function imageDeleted(imageId: number): AppError {
  return new AppError(
    'image_deleted',
    `Image ${imageId} was deleted while it was being processed. Upload it again if you still need it.`,
  );
}

/** Returns `image`. @throws {AppError} `image_deleted` if the image was deleted during processing. */
export function assertNotDeleted<T extends Pick<Image, 'id' | 'deletedAt'>>(image: T): T {
  if (image.deletedAt) throw imageDeleted(image.id);
  return image;
}

/** Returns the error for an image that has no original, because the image is still pending or has failed. */
export function noOriginal(image: Image): AppError {
  const suffix = image.status === 'failed' ? '' : ' yet';
  return new AppError(
    'rendition_not_ready',
    `Image ${image.id} has no original${suffix}: ${describeState(image)}`,
  );
}

/** Returns the error for an image whose renditions do not exist, because the image is still pending or has failed. */
export function noRendition(image: Image, preset: string): AppError {
  return new AppError(
    'rendition_not_ready',
    `Image ${image.id} has no rendition "${preset}": ${describeState(image)}`,
  );
}

/** Describes an image's state, as the end of a sentence, including the full stop. */
export function describeState({ status, error }: Pick<Image, 'status' | 'error'>): string {
  if (status !== 'failed') return `it is ${status}.`;
  return `its processing failed: ${(error ?? 'the reason is unknown').replace(/\.?$/, '.')}`;
}
