import type { PurgeQueries, PurgeReason, RemovedFile } from '../../db/purge/purging.ts';
import type { StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import type { PurgeCandidate, PurgeTally } from '../../model/purge.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage } from '../../storage/storage.ts';
import type { RenditionCache } from '../rendition-cache.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'remove'>;
  readonly storedFiles: Pick<StoredFileQueries, 'removeUnused'>;
  readonly storage: Pick<Storage, 'remove'>;
  readonly cache: Pick<RenditionCache, 'forget'>;
  readonly logger: Logger;
}

/** The next candidates after one that was handled; an empty page is the end. */
type NextPage = (after: PurgeCandidate | undefined) => Promise<readonly PurgeCandidate[]>;

/** What a run of removals did; `isComplete` is false when its time was over before the candidates were. */
export interface Removal extends PurgeTally {
  readonly isComplete: boolean;
}

/** A request that takes longer is cut by proxies, and its report is lost: the caller asks again for the rest. */
const timeOfOneCallMs = 45_000;

/** Errors that a report names; all of them stand in the log. */
const reportedErrors = 100;

/**
 * Removes images for one reason: rows first, in a transaction that looks at the reason again, then the files that no row
 * names any more. A failure is reported, and the rest goes on.
 */
export type RemoveImages = (nextPage: NextPage, reason: PurgeReason) => Promise<Removal>;

/** @see RemoveImages */
export function makeRemoveImages(deps: Dependencies): RemoveImages {
  return async (nextPage, reason) => {
    const deadline = performance.now() + timeOfOneCallMs;
    const tally = { images: 0, renditions: 0, files: 0, bytes: 0, errors: [] as string[] };
    let last: PurgeCandidate | undefined;
    for (;;) {
      const page = await nextPage(last);
      if (page.length === 0) return { ...tally, isComplete: true };
      for (const candidate of page) {
        if (performance.now() > deadline) return { ...tally, isComplete: false };
        await removeImage(deps, candidate, reason, tally);
      }
      last = page.at(-1);
    }
  };
}

type Tally = { images: number; renditions: number; files: number; bytes: number; errors: string[] };

async function removeImage(
  deps: Dependencies,
  candidate: PurgeCandidate,
  reason: PurgeReason,
  tally: Tally,
): Promise<void> {
  try {
    const removed = await deps.purging.remove(candidate, reason);
    if (!removed) return;
    tally.images++;
    tally.renditions += removed.renditions;
    deps.cache.forget(candidate);
    for (const file of removed.files) await removeFile(deps, file, tally);
  } catch (error) {
    note(deps, tally, `Image ${candidate.id} could not be removed; it stays as it was.`, error);
  }
}

/** Nobody can record the file's content while it goes; one that was recorded again in the meantime stays. */
async function removeFile(deps: Dependencies, { key, bytes }: RemovedFile, tally: Tally): Promise<void> {
  const file = parseKey(key);
  if (!file) return;
  try {
    if (!(await deps.storedFiles.removeUnused(file, () => deps.storage.remove(key)))) return;
    tally.files++;
    tally.bytes += bytes;
  } catch (error) {
    note(
      deps,
      tally,
      `The file ${key} could not be removed; the sweep for orphaned files tries again.`,
      error,
    );
  }
}

function note({ logger }: Dependencies, tally: Tally, sentence: string, error: unknown): void {
  logger.error({ err: error }, sentence);
  if (tally.errors.length < reportedErrors) tally.errors.push(sentence);
}
