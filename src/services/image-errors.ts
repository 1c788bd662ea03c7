import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';

/** The error for an image that does not exist, or that the caller may not see. Both look the same to the caller. */
export function imageNotFound(image: ImageRef): AppError {
  return new AppError('image_not_found', `There is no image ${'id' in image ? image.id : image.uuid}.`);
}

/** The error of an upload whose image was deleted before the response. The picture itself may be valid. */
export function imageDeleted(imageId: number): AppError {
  return new AppError(
    'image_deleted',
    `Image ${imageId} was deleted while it was being processed; send the picture again if it is still wanted.`,
  );
}

/** Returns `image`. @throws {AppError} `image_deleted` if it was deleted while it was processed. */
export function assertNotDeleted<T extends Pick<Image, 'id' | 'deletedAt'>>(image: T): T {
  if (image.deletedAt) throw imageDeleted(image.id);
  return image;
}

/** The error for an image that has no original yet, or that failed before it got one. */
export function noOriginal(image: Image): AppError {
  const what = image.status === 'failed' ? 'no original' : 'no original yet';
  return new AppError('rendition_not_ready', `Image ${image.id} has ${what}: ${describeState(image)}`);
}

/** The error for an image whose renditions are not made yet, or that failed. */
export function noRendition(image: Image, preset: string): AppError {
  return new AppError(
    'rendition_not_ready',
    `Image ${image.id} has no rendition "${preset}": ${describeState(image)}`,
  );
}

/** Ends a sentence with the state of the image, including the full stop. */
export function describeState({ status, error }: Pick<Image, 'status' | 'error'>): string {
  if (status !== 'failed') return `it is ${status}.`;
  return `its processing failed: ${(error ?? 'no reason is known').replace(/\.?$/, '.')}`;
}
