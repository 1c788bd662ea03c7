import type { StoredFileQueries } from '../../db/images/stored-files.ts';
import type {
  RemovableRendition,
  RemovalReason,
  RenditionRemovalQueries,
} from '../../db/renditions/removal.ts';
import type { Logger } from '../../model/logger.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage } from '../../storage/storage.ts';

interface Dependencies {
  readonly renditionRemoval: RenditionRemovalQueries;
  readonly storedFiles: Pick<StoredFileQueries, 'removeUnused'>;
  readonly storage: Pick<Storage, 'remove'>;
  /** Maximum bytes of renditions that were made on request; `null` means no limit. */
  readonly maxDerivedBytes: number | null;
  /** How long renditions are kept after they were replaced by renditions with another recipe. */
  readonly oldRenditionDays: number;
  readonly logger: Logger;
}

/** Removes renditions that can be made again, or that are no longer needed. Both methods return the number of them. */
export interface DerivedFileSweeps {
  /** Removes the least recently served renditions that were made on request, until the rest is within the limit. */
  evict(): Promise<number>;
  /** Removes renditions that were replaced long ago. */
  removeSuperseded(): Promise<number>;
}

/** Number of rows per query. */
const pageSize = 200;

/** @see DerivedFileSweeps */
export function makeDerivedFileSweeps(deps: Dependencies): DerivedFileSweeps {
  const { renditionRemoval, maxDerivedBytes, oldRenditionDays, logger } = deps;
  return {
    async evict() {
      if (maxDerivedBytes === null) return 0;
      let excess = (await renditionRemoval.sumOnRequestBytes()) - maxDerivedBytes;
      let freedBytes = 0;
      const isExcessive = () => excess > 0;
      const removed = await removeWhile(deps, 'on-request', isExcessive, ({ bytes }) => {
        excess -= bytes;
        freedBytes += bytes;
      });
      if (removed > 0)
        logger.info(
          { removed, bytes: freedBytes },
          `removed ${removed} renditions (${freedBytes} bytes) that were served least recently; they are made again on request`,
        );
      return removed;
    },

    async removeSuperseded() {
      const removed = await removeWhile(deps, { supersededDays: oldRenditionDays }, () => true);
      if (removed > 0) logger.info({ removed }, `removed ${removed} renditions that were replaced long ago`);
      return removed;
    },
  };
}

/**
 * Removes renditions in the order of the query, for as long as `shouldRemove` returns true.
 * @param onFreed called for each rendition whose file no other image shares
 */
async function removeWhile(
  deps: Dependencies,
  reason: RemovalReason,
  shouldRemove: () => boolean,
  onFreed: (rendition: RemovableRendition) => void = () => undefined,
): Promise<number> {
  let removedCount = 0;
  for (;;) {
    const page = await deps.renditionRemoval.list(reason, pageSize);
    let removedOfPage = 0;
    for (const rendition of page) {
      if (!shouldRemove()) return removedCount + removedOfPage;
      const outcome = await removeRendition(deps, rendition, reason);
      if (outcome !== undefined) removedOfPage++;
      if (outcome === 'removed') onFreed(rendition);
    }
    removedCount += removedOfPage;
    // If nothing could be removed, the next page would be the same.
    if (page.length < pageSize || removedOfPage === 0) return removedCount;
  }
}

/** Removes the row, and then the file unless it is used. A file that cannot be removed is left to the sweep for orphans. */
async function removeRendition(
  { renditionRemoval, storedFiles, storage, logger }: Dependencies,
  rendition: RemovableRendition,
  reason: RemovalReason,
): Promise<'removed' | 'still-shared' | undefined> {
  const outcome = await renditionRemoval.remove(rendition, reason);
  if (outcome === undefined) return undefined;
  const { storageKey } = rendition;
  const file = parseKey(storageKey);
  try {
    if (file) await storedFiles.removeUnused(file, () => storage.remove(storageKey));
  } catch (error) {
    logger.warn(
      { err: error, key: storageKey },
      `the file ${storageKey} could not be removed; the sweep for orphaned files will try again`,
    );
  }
  return outcome;
}
