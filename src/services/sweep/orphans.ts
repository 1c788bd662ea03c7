import type { ContentFile, StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage, StoredFile } from '../../storage/storage.ts';
import { type Brake, isSuspicious } from './brake.ts';

interface Dependencies {
  readonly storedFiles: Pick<StoredFileQueries, 'listUnused' | 'removeUnused'>;
  readonly storage: Pick<Storage, 'list' | 'remove'>;
  readonly brake: Brake;
  readonly logger: Logger;
}

/** What a sweep for orphans found and did. */
export interface OrphanReport {
  readonly files: number;
  readonly orphans: number;
  readonly removed: number;
  /** The brake stopped the sweep: nothing was removed. */
  readonly stopped: boolean;
}

/** A file younger than this may belong to an upload that is about to be recorded. */
const graceMs = 24 * 3_600_000;

const pageSize = 500;

/**
 * Removes files that no row names: what a crash left between "the file is there" and "the row is committed". When
 * suspiciously much looks orphaned (a database restored from an old backup does that) it removes nothing and says so.
 */
export type SweepOrphans = (now?: Date) => Promise<OrphanReport>;

/** @see SweepOrphans */
export function makeSweepOrphans(deps: Dependencies): SweepOrphans {
  const { brake, logger } = deps;
  return async (now = new Date()) => {
    const { files, orphans } = await findOrphans(deps, new Date(now.getTime() - graceMs));
    const stopped = isSuspicious(orphans.length, files, brake);
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
  { storedFiles, storage }: Dependencies,
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
  { storedFiles, storage }: Dependencies,
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
