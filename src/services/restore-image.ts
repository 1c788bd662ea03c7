import type { DeletionQueries } from '../db/images/deletion.ts';
import type { ImageRef, ImageWithRenditions } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import { type Principal, whoCalled } from '../model/principal.ts';
import { notFound, type RetrieveImage } from './retrieve-image.ts';

interface Dependencies {
  readonly deletion: Pick<DeletionQueries, 'restore'>;
  readonly retrieve: Pick<RetrieveImage, 'find'>;
  readonly logger: Logger;
}

/** Brings a deleted image back until it is purged; one that is not deleted stays as it is. @throws `image_not_found` */
export type RestoreImage = (principal: Principal, reference: ImageRef) => Promise<ImageWithRenditions>;

/** @see RestoreImage */
export function makeRestoreImage({ deletion, retrieve, logger }: Dependencies): RestoreImage {
  return async (principal, reference) => {
    if (!(await deletion.restore(principal, reference))) throw notFound(reference);
    const image = await retrieve.find(principal, reference);
    const { id, uuid, tenant } = image;
    logger.info(
      { image: id, uuid, tenant, count: 1, ...whoCalled(principal) },
      `image ${id} of the tenant ${tenant} is there after a restore`,
    );
    return image;
  };
}
