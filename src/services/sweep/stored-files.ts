import type { Config } from '../../config.ts';
import type { ImageQueries } from '../../db/images/images.ts';
import type { ContentFile, StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage, StoredFile } from '../../storage/storage.ts';

// This module compares rows with stored files in both directions: it finds files without rows, and rows without files.

/** Maximum number of items that a sweep may change, both as a fraction of all items (0 to 1) and as a count. */
type SweepLimit = Config['storage']['sweepLimit'];

/**
 * The fraction is only checked if there are more suspect items than this, because one file may be a large fraction of a
 * small store.
 */
const minSuspectsForFraction = 20;

/**
 * Returns whether suspiciously many items look wrong. If so, the cause is probably a larger problem: for example, an
 * older database was restored, or storage is not mounted. Acting on these items could destroy data.
 */
function exceedsLimit({ fraction, count }: SweepLimit, suspectCount: number, totalCount: number): boolean {
  return (
    suspectCount > count || (suspectCount > minSuspectsForFraction && suspectCount / totalCount > fraction)
  );
}

/** Number of files or rows per query. */
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
  /** Whether the safety limit was exceeded. If so, nothing was removed. */
  readonly hasExceededLimit: boolean;
}

/** Minimum age of a file that may be removed. A younger file may belong to an upload that has not been recorded yet. */
const minAgeMs = 24 * 3_600_000;

/**
 * Removes orphaned files, which are files that no row refers to. A process leaves an orphaned file behind if it crashes
 * after storing the file and before committing its row. Removes nothing if the number of orphaned files exceeds the
 * safety limit.
 */
export type SweepOrphans = (now?: Date) => Promise<OrphanReport>;

/** @see SweepOrphans */
export function makeSweepOrphans(deps: OrphanDependencies): SweepOrphans {
  const { sweepLimit, logger } = deps;
  return async (now = new Date()) => {
    const { fileCount, orphans } = await findOrphans(deps, new Date(now.getTime() - minAgeMs));
    const hasExceededLimit = exceedsLimit(sweepLimit, orphans.length, fileCount);
    if (hasExceededLimit) {
      const percent = ((100 * orphans.length) / fileCount).toFixed(1);
      logger.error(
        { files: fileCount, orphans: orphans.length },
        `${orphans.length} of ${fileCount} stored files (${percent} %) look orphaned, more than ORPHAN_BRAKE allows; nothing was removed. Was an older database restored?`,
      );
      return { files: fileCount, orphans: orphans.length, removed: 0, hasExceededLimit };
    }
    const removed = await removeAll(deps, orphans);
    if (removed > 0) logger.info({ removed }, `orphaned files removed: ${removed}`);
    return { files: fileCount, orphans: orphans.length, removed, hasExceededLimit };
  };
}

async function findOrphans(
  { storedFiles, storage }: OrphanDependencies,
  olderThan: Date,
): Promise<{ fileCount: number; orphans: ContentFile[] }> {
  const orphans: ContentFile[] = [];
  let fileCount = 0;
  for await (const page of collectPages(storage.list())) {
    fileCount += page.length;
    const oldFiles = page
      .filter(({ modifiedAt }) => modifiedAt < olderThan)
      .flatMap(({ key }) => parseKey(key) ?? []);
    orphans.push(...(await storedFiles.listUnused(oldFiles)));
  }
  return { fileCount, orphans };
}

async function removeAll(
  { storedFiles, storage }: OrphanDependencies,
  orphans: readonly ContentFile[],
): Promise<number> {
  let removedCount = 0;
  for (const orphan of orphans) {
    if (await storedFiles.removeUnused(orphan, () => storage.remove(orphan.key))) removedCount++;
  }
  return removedCount;
}

async function* collectPages(files: AsyncIterable<StoredFile>): AsyncGenerator<StoredFile[]> {
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
 * Finds images whose original is missing or does not have the recorded size. Marks the images as damaged and logs them,
 * but never removes them, because uploading the picture again or restoring the file repairs an image. Marks nothing if
 * the number of such images exceeds the safety limit.
 * @returns the number of images that were found to be damaged and had not been marked before
 */
export type FindMissingOriginals = () => Promise<number>;

interface DamagedImage {
  readonly id: number;
  /** Storage key of the original. */
  readonly key: string;
  readonly problem: 'is missing' | 'has changed in size';
}

/** @see FindMissingOriginals */
export function makeFindMissingOriginals(deps: OriginalDependencies): FindMissingOriginals {
  const { images, sweepLimit, logger } = deps;
  return async () => {
    const { checkedCount, newlyDamagedImages } = await findNewlyDamaged(deps);
    if (exceedsLimit(sweepLimit, newlyDamagedImages.length, checkedCount)) {
      logger.error(
        { checked: checkedCount, missing: newlyDamagedImages.length },
        `${newlyDamagedImages.length} of ${checkedCount} originals look missing or changed, more than ORPHAN_BRAKE allows; no image was marked as damaged. Is storage mounted?`,
      );
      return newlyDamagedImages.length;
    }
    for (const { id, key, problem } of newlyDamagedImages) {
      await images.markDamaged(id);
      logger.error({ image: id, key }, `the original of image ${id} ${problem}; marked the image as damaged`);
    }
    return newlyDamagedImages.length;
  };
}

/**
 * Checks all originals, but stops when too many are damaged. Returns the images to mark as damaged. Clears the mark on
 * images whose original is intact again.
 */
async function findNewlyDamaged(
  deps: OriginalDependencies,
): Promise<{ checkedCount: number; newlyDamagedImages: DamagedImage[] }> {
  const { storedFiles, storage, sweepLimit } = deps;
  const newlyDamagedImages: DamagedImage[] = [];
  let checkedCount = 0;
  let lastId = 0;
  for (;;) {
    const page = await storedFiles.listOriginalsAfter(lastId, pageSize);
    for (const { id, key, bytes, damaged } of page) {
      lastId = id;
      checkedCount++;
      const storedFile = await storage.stat(key);
      const isIntact = storedFile?.bytes === bytes;
      if (isIntact && damaged) await clearMark(deps, id);
      if (!isIntact && !damaged)
        newlyDamagedImages.push({ id, key, problem: storedFile ? 'has changed in size' : 'is missing' });
    }
    if (page.length < pageSize || newlyDamagedImages.length > sweepLimit.count)
      return { checkedCount, newlyDamagedImages };
  }
}

async function clearMark({ images, logger }: OriginalDependencies, id: number): Promise<void> {
  await images.clearDamaged(id);
  logger.info(
    { image: id },
    `the original of image ${id} has been restored; the image is no longer marked as damaged`,
  );
}
