import type { ImageQueries } from '../../db/images/images.ts';
import type { StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import type { Storage } from '../../storage/storage.ts';
import { type Brake, isSuspicious } from './brake.ts';

interface Dependencies {
  readonly storedFiles: Pick<StoredFileQueries, 'originalsAfter'>;
  readonly images: Pick<ImageQueries, 'markDamaged' | 'clearDamaged'>;
  readonly storage: Pick<Storage, 'stat'>;
  readonly brake: Brake;
  readonly logger: Logger;
}

const pageSize = 500;

/**
 * Looks for rows whose original is missing or has another size. They are marked as damaged and reported, never removed:
 * uploading the picture again heals them, and so does a file that is back (from a backup, on a disk that is mounted again).
 * When suspiciously much is missing, nothing is marked. Answers how many were found that had no mark.
 */
export type FindMissingOriginals = () => Promise<number>;

interface Damage {
  readonly id: number;
  readonly key: string;
  readonly what: 'missing' | 'cut short';
}

/** @see FindMissingOriginals */
export function makeFindMissingOriginals(deps: Dependencies): FindMissingOriginals {
  const { images, brake, logger } = deps;
  return async () => {
    const { looked, damages } = await findDamages(deps);
    if (isSuspicious(damages.length, looked, brake)) {
      logger.error(
        { looked, missing: damages.length },
        `${damages.length} of ${looked} originals look missing, more than ORPHAN_BRAKE allows: no image was marked. Is the storage mounted?`,
      );
      return damages.length;
    }
    for (const { id, key, what } of damages) {
      await images.markDamaged(id);
      logger.error(
        { image: id, key },
        `the original of image ${id} is ${what}; the image is marked as damaged`,
      );
    }
    return damages.length;
  };
}

/** Those that have no mark yet. Those that need none any more lose it on the way. */
async function findDamages(deps: Dependencies): Promise<{ looked: number; damages: Damage[] }> {
  const { storedFiles, storage, brake } = deps;
  const damages: Damage[] = [];
  let looked = 0;
  let last = 0;
  for (;;) {
    const page = await storedFiles.originalsAfter(last, pageSize);
    for (const { id, key, bytes, damaged } of page) {
      last = id;
      looked++;
      const stored = await storage.stat(key);
      const isWhole = stored?.bytes === bytes;
      if (isWhole && damaged) await clearMark(deps, id);
      if (!isWhole && !damaged) damages.push({ id, key, what: stored ? 'cut short' : 'missing' });
    }
    if (page.length < pageSize || damages.length > brake.count) return { looked, damages };
  }
}

async function clearMark({ images, logger }: Dependencies, id: number): Promise<void> {
  await images.clearDamaged(id);
  logger.info({ image: id }, `the original of image ${id} is back; the image is not damaged any more`);
}
