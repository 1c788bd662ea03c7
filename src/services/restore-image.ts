import type { DeletionQueries } from '../db/deletion.ts';
import type { ImageReference, ImageWithRenditions } from '../model/image.ts';
import type { Principal } from '../model/principal.ts';
import { notFound, type RetrieveImage } from './retrieve-image.ts';

interface Parts {
  readonly deletion: Pick<DeletionQueries, 'restore'>;
  readonly retrieve: Pick<RetrieveImage, 'find'>;
}

/** Brings a deleted image back until it is purged; one that is not deleted stays as it is. @throws `image_not_found` */
export type RestoreImage = (principal: Principal, reference: ImageReference) => Promise<ImageWithRenditions>;

/** @see RestoreImage */
export function makeRestoreImage({ deletion, retrieve }: Parts): RestoreImage {
  return async (principal, reference) => {
    if (!(await deletion.restore(principal, reference))) throw notFound(reference);
    return retrieve.find(principal, reference);
  };
}
