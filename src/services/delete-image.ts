import type { ImageQueries } from '../db/images.ts';
import type { Image, ImageReference } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import type { RenditionCache } from './rendition-cache.ts';
import { notFound } from './retrieve-image.ts';

interface Parts {
  readonly images: Pick<ImageQueries, 'markDeleted'>;
  readonly cache: RenditionCache;
}

/** Phase one of deleting: the image is hidden at once, on every address; its files stay until a purge. */
export type DeleteImage = (principal: Principal, reference: ImageReference) => Promise<Image>;

/** @see DeleteImage */
export function makeDeleteImage({ images, cache }: Parts): DeleteImage {
  return async (principal, reference) => {
    const image = await images.markDeleted(principal, reference);
    if (!image) throw notFound(reference);
    cache.forget(image);
    return image;
  };
}
