import { LRUCache } from 'lru-cache';
import type { ImageQueries } from '../../db/images/images.ts';

/** Finds the tenant of an image. */
export interface ImageTenants {
  /** Returns the id of the tenant if it is in memory. */
  cached(uuid: string): number | undefined;
  /** Returns the id of the tenant, whether or not the image is deleted; `undefined` if there is no such image. */
  find(uuid: string): Promise<number | undefined>;
}

/** An image never moves to a different tenant, so its tenant is remembered for as long as there is room. */
const maxImages = 50_000;

/** @see ImageTenants */
export function makeImageTenants({
  images,
}: {
  readonly images: Pick<ImageQueries, 'findTenantId'>;
}): ImageTenants {
  // Created when it is first needed, because a cache of this size takes 15 ms to create.
  let tenantIds: LRUCache<string, number> | undefined;
  return {
    cached: (uuid) => tenantIds?.get(uuid),
    async find(uuid) {
      tenantIds ??= new LRUCache<string, number>({ max: maxImages });
      const tenantId = tenantIds.get(uuid) ?? (await images.findTenantId({ uuid }));
      if (tenantId !== undefined) tenantIds.set(uuid, tenantId);
      return tenantId;
    },
  };
}
