import type { ImageQueries } from '../../db/images.ts';
import type { SweepQueries } from '../../db/sweeping.ts';
import type { Logger } from '../../model/logger.ts';
import type { Storage } from '../../storage/storage.ts';

interface Parts {
  readonly sweeping: Pick<SweepQueries, 'originalsAfter'>;
  readonly images: Pick<ImageQueries, 'markDamaged'>;
  readonly storage: Pick<Storage, 'stat'>;
  readonly logger: Logger;
}

const pageSize = 500;

/**
 * Looks for rows whose original is missing or has another size. They are marked as damaged and reported, never removed:
 * uploading the picture again heals them. Answers how many were found.
 */
export type FindMissingOriginals = () => Promise<number>;

/** @see FindMissingOriginals */
export function makeFindMissingOriginals({ sweeping, images, storage, logger }: Parts): FindMissingOriginals {
  return async () => {
    let damaged = 0;
    let last = 0;
    for (;;) {
      const page = await sweeping.originalsAfter(last, pageSize);
      for (const { id, key, bytes } of page) {
        last = id;
        const stored = await storage.stat(key);
        if (stored?.bytes === bytes) continue;
        damaged++;
        await images.markDamaged(id);
        logger.error(
          { image: id, key },
          `the original of image ${id} is ${stored ? 'cut short' : 'missing'}; the image is marked as damaged`,
        );
      }
      if (page.length < pageSize) return damaged;
    }
  };
}
