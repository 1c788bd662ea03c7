import type { Config } from '../../config.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import type { ContentFile, StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage, StoredFile } from '../../storage/storage.ts';

/** Compares rows and stored files, in both directions: files without rows, and rows without files. */

/** Safety limit: a share of all items, between 0 and 1, and a number of items. */
type SweepLimit = Config['storage']['sweepLimit'];

/** Below this number a share says nothing: one of two is half. */
const minForShare = 20;

/**
 * Whether so many items look wrong that the cause is more likely elsewhere: an older database was restored, or the
 * storage is not mounted. Acting on them would then destroy data.
 */
function exceeds({ share, count }: SweepLimit, wrong: number, total: number): boolean {
  return wrong > count || (wrong > minForShare && wrong / total > share);
}

const pageSize = 500;

interface OrphanDependencies {
  readonly storedFiles: Pick<StoredFileQueries, 'listUnused' | 'removeUnused'>;
  readonly storage: Pick<Storage, 'list' | 'remove'>;
  readonly sweepLimit: SweepLimit;
  readonly logger: Logger;
}

/** Result of a sweep for orphaned files. */
export interface OrphanReport {
  readonly files: number;
  readonly orphans: number;
  readonly removed: number;
  /** The safety limit was exceeded, so nothing was removed. */
  readonly stopped: boolean;
}

/** Younger files may belong to an upload that is not recorded yet. */
const minAgeMs = 24 * 3_600_000;

/**
 * Removes files that no row names. A process that crashes between storing a file and committing its row leaves them
 * behind. Removes nothing if their number exceeds the safety limit.
 */
export type SweepOrphans = (now?: Date) => Promise<OrphanReport>;

/** @see SweepOrphans */
export function makeSweepOrphans(deps: OrphanDependencies): SweepOrphans {
  const { sweepLimit, logger } = deps;
  return async (now = new Date()) => {
    const { files, orphans } = await findOrphans(deps, new Date(now.getTime() - minAgeMs));
    const stopped = exceeds(sweepLimit, orphans.length, files);
    if (stopped) {
      const percent = ((100 * orphans.length) / files).toFixed(1);
      logger.error(
        { files, orphans: orphans.length },
        `${orphans.length} of ${files} stored files (${percent} %) look orphaned, more than ORPHAN_BRAKE allows: nothing was removed. Was an older database restored?`,
      );
      return { files, orphans: orphans.length, removed: 0, stopped };
    }
    const removed = await removeAll(deps, orphans);
    if (removed > 0) logger.info({ removed }, `${removed} orphaned files were removed`);
    return { files, orphans: orphans.length, removed, stopped };
  };
}

async function findOrphans(
  { storedFiles, storage }: OrphanDependencies,
  olderThan: Date,
): Promise<{ files: number; orphans: ContentFile[] }> {
  const orphans: ContentFile[] = [];
  let files = 0;
  for await (const page of pages(storage.list())) {
    files += page.length;
    const old = page
      .filter(({ modifiedAt }) => modifiedAt < olderThan)
      .flatMap(({ key }) => parseKey(key) ?? []);
    orphans.push(...(await storedFiles.listUnused(old)));
  }
  return { files, orphans };
}

async function removeAll(
  { storedFiles, storage }: OrphanDependencies,
  orphans: readonly ContentFile[],
): Promise<number> {
  let removed = 0;
  for (const orphan of orphans) {
    if (await storedFiles.removeUnused(orphan, () => storage.remove(orphan.key))) removed++;
  }
  return removed;
}

async function* pages(files: AsyncIterable<StoredFile>): AsyncGenerator<StoredFile[]> {
  let page: StoredFile[] = [];
  for await (const file of files) {
    page.push(file);
    if (page.length < pageSize) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

interface OriginalDependencies {
  readonly storedFiles: Pick<StoredFileQueries, 'listOriginalsAfter'>;
  readonly images: Pick<ImageQueries, 'markDamaged' | 'clearDamaged'>;
  readonly storage: Pick<Storage, 'stat'>;
  readonly sweepLimit: SweepLimit;
  readonly logger: Logger;
}

/**
 * Finds images whose original is missing or has another size. Marks them as damaged and reports them, but never removes
 * them: uploading the picture again repairs an image, as does restoring the file. Marks nothing if their number exceeds
 * the safety limit.
 * @returns the number of newly found images
 */
export type FindMissingOriginals = () => Promise<number>;

interface Damage {
  readonly id: number;
  readonly key: string;
  readonly what: 'missing' | 'cut short';
}

/** @see FindMissingOriginals */
export function makeFindMissingOriginals(deps: OriginalDependencies): FindMissingOriginals {
  const { images, sweepLimit, logger } = deps;
  return async () => {
    const { checked, damages } = await findDamages(deps);
    if (exceeds(sweepLimit, damages.length, checked)) {
      logger.error(
        { checked, missing: damages.length },
        `${damages.length} of ${checked} originals look missing, more than ORPHAN_BRAKE allows: no image was marked. Is the storage mounted?`,
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

/** Returns images that are not marked yet, and clears the mark of images whose original is whole again. */
async function findDamages(deps: OriginalDependencies): Promise<{ checked: number; damages: Damage[] }> {
  const { storedFiles, storage, sweepLimit } = deps;
  const damages: Damage[] = [];
  let checked = 0;
  let last = 0;
  for (;;) {
    const page = await storedFiles.listOriginalsAfter(last, pageSize);
    for (const { id, key, bytes, damaged } of page) {
      last = id;
      checked++;
      const stored = await storage.stat(key);
      const isWhole = stored?.bytes === bytes;
      if (isWhole && damaged) await clearMark(deps, id);
      if (!isWhole && !damaged) damages.push({ id, key, what: stored ? 'cut short' : 'missing' });
    }
    if (page.length < pageSize || damages.length > sweepLimit.count) return { checked, damages };
  }
}

async function clearMark({ images, logger }: OriginalDependencies, id: number): Promise<void> {
  await images.clearDamaged(id);
  logger.info({ image: id }, `the original of image ${id} was restored; the image is no longer damaged`);
}
