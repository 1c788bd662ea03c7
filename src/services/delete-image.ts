import type { DeletionQueries } from '../db/images/deletion.ts';
import { AppError } from '../errors.ts';
import type { Image, ImageRef } from '../model/image.ts';
import type { Logger } from '../model/logger.ts';
import { type Principal, whoCalled } from '../model/principal.ts';
import type { RenditionCache } from './rendition-cache.ts';
import { notFound } from './retrieve-image.ts';

interface Dependencies {
  readonly deletion: Pick<DeletionQueries, 'softDelete'>;
  readonly cache: RenditionCache;
  readonly logger: Logger;
}

/**
 * Phase one of deleting: the image is hidden at once, on every address; its files stay until a purge.
 * @throws {AppError} `image_not_found`; `image_in_use` when somebody uses it and `force` is not set.
 */
export type DeleteImage = (
  principal: Principal,
  reference: ImageRef,
  options: { readonly force: boolean },
) => Promise<Image>;

/** @see DeleteImage */
export function makeDeleteImage({ deletion, cache, logger }: Dependencies): DeleteImage {
  return async (principal, reference, { force }) => {
    const result = await deletion.softDelete(principal, reference, force);
    if (result.outcome === 'not-found') throw notFound(reference);
    if (result.outcome === 'in-use') throw inUse(result.image, result.references);
    cache.forget(result.image);
    const { id, uuid, tenant } = result.image;
    logger.info(
      { image: id, uuid, tenant, count: 1, force, ...whoCalled(principal) },
      `image ${id} of the tenant ${tenant} was deleted`,
    );
    return result.image;
  };
}

function inUse({ id, inUseCount }: Image, references: readonly string[]): AppError {
  const named = references.slice(0, 3).map((reference) => JSON.stringify(reference));
  const more = inUseCount > named.length ? ` and ${inUseCount - named.length} more` : '';
  return new AppError(
    'image_in_use',
    `Image ${id} is used by ${named.join(', ')}${more}; remove these references first, or delete it with \`force\` in /v1.`,
    { details: { in_use_count: inUseCount, references } },
  );
}
