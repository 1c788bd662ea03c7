import type { DeletionQueries } from '../db/images/deletion.ts';
import type { ImageQueries } from '../db/images/images.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef, ImageWithRenditions } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import { type Principal, callerFields } from '../model/principal.ts';
import { imageNotFound } from './image-errors.ts';
import type { RenditionCache } from './rendition-cache.ts';
import type { RetrieveImage } from './retrieve-image.ts';
import type { FindQuotas } from './settings-cache.ts';

interface DeleteDependencies {
  readonly deletion: Pick<DeletionQueries, 'softDelete'>;
  readonly cache: Pick<RenditionCache, 'evict'>;
  readonly logger: Logger;
}

/**
 * Soft-deletes an image: it is no longer served, but its files remain until a purge.
 * @throws {AppError} `image_not_found`; `image_in_use` if the image has references and `force` is not set.
 */
export type DeleteImage = (
  principal: Principal,
  imageRef: ImageRef,
  options: { readonly force: boolean },
) => Promise<Image>;

/** @see DeleteImage */
export function makeDeleteImage({ deletion, cache, logger }: DeleteDependencies): DeleteImage {
  return async (principal, imageRef, { force }) => {
    const result = await deletion.softDelete(principal, imageRef, force);
    if (result.outcome === 'not-found') throw imageNotFound(imageRef);
    if (result.outcome === 'in-use') throw imageInUse(result.image, result.references);
    cache.evict(result.image);
    const { id, uuid, tenant } = result.image;
    logger.info(
      { image: id, uuid, tenant, count: 1, force, ...callerFields(principal) },
      `image ${id} of tenant ${tenant} was deleted`,
    );
    return result.image;
  };
}

function imageInUse({ id, inUseCount }: Image, references: readonly string[]): AppError {
  const firstReferences = references.slice(0, 3).map((reference) => JSON.stringify(reference));
  const remainder =
    inUseCount > firstReferences.length ? ` and ${inUseCount - firstReferences.length} more` : '';
  return new AppError(
    'image_in_use',
    `Image ${id} is used by ${firstReferences.join(', ')}${remainder}. Remove its references first, or send DELETE /v1/images/${id}?force=true.`,
    { details: { in_use_count: inUseCount, references } },
  );
}

interface RestoreDependencies {
  readonly deletion: Pick<DeletionQueries, 'restore'>;
  readonly images: Pick<ImageQueries, 'findTenantId'>;
  readonly findQuotas: FindQuotas;
  readonly retrieve: Pick<RetrieveImage, 'find'>;
  readonly logger: Logger;
}

/**
 * Restores a deleted image. An image that is not deleted is returned unchanged.
 * @throws {AppError} `image_not_found`; `quota_exceeded` if the tenant has no room for the image.
 */
export type RestoreImage = (principal: Principal, imageRef: ImageRef) => Promise<ImageWithRenditions>;

/** @see RestoreImage */
export function makeRestoreImage({
  deletion,
  images,
  findQuotas,
  retrieve,
  logger,
}: RestoreDependencies): RestoreImage {
  return async (principal, imageRef) => {
    const tenantId = await images.findTenantId(imageRef);
    const isFound =
      tenantId !== undefined && (await deletion.restore(principal, imageRef, await findQuotas(tenantId)));
    if (!isFound) throw imageNotFound(imageRef);
    const image = await retrieve.find(principal, imageRef);
    const { id, uuid, tenant } = image;
    logger.info(
      { image: id, uuid, tenant, count: 1, ...callerFields(principal) },
      `image ${id} of tenant ${tenant} was restored`,
    );
    return image;
  };
}
