import type { PurgeQueries, PurgeReason, RemovedFile } from '../../db/purge/purging.ts';
import type { StoredFileQueries } from '../../db/images/stored-files.ts';
import type { Logger } from '../../model/logger.ts';
import type { Principal } from '../../model/principal.ts';
import type { PurgeCandidate, PurgeTally } from '../../model/purge.ts';
import { parseKey } from '../../storage/keys.ts';
import type { Storage } from '../../storage/storage.ts';
import type { RenditionCache } from '../rendition-cache.ts';

interface Dependencies {
  readonly purging: Pick<PurgeQueries, 'remove'>;
  readonly storedFiles: Pick<StoredFileQueries, 'removeUnused'>;
  readonly storage: Pick<Storage, 'remove'>;
  readonly cache: Pick<RenditionCache, 'evict'>;
  readonly logger: Logger;
}

/** Returns the page of candidates that follows the given candidate. The page after the last candidate is empty. */
type NextPage = (after: PurgeCandidate | undefined) => Promise<readonly PurgeCandidate[]>;

/** The result of removing images. */
export interface Removal extends PurgeTally {
  /** False if the time limit was reached before the last candidate. */
  readonly isComplete: boolean;
}

/** Time limit of a request. A proxy might abort a longer request, and the report would be lost. */
const timeLimitMs = 45_000;

/** Maximum number of errors in a report. The log contains all errors. */
const maxErrors = 100;

/**
 * Removes images. For each image, first removes the rows in a transaction that checks again whether `reason` applies.
 * Then removes the files that are no longer in use. Reports failures and continues with the next image.
 */
export type RemoveImages = (
  principal: Principal,
  nextPage: NextPage,
  reason: PurgeReason,
) => Promise<Removal>;

/** @see RemoveImages */
export function makeRemoveImages(deps: Dependencies): RemoveImages {
  return async (principal, nextPage, reason) => {
    const deadline = performance.now() + timeLimitMs;
    const tally = { images: 0, renditions: 0, files: 0, bytes: 0, errors: [] as string[] };
    let lastCandidate: PurgeCandidate | undefined;
    for (;;) {
      const page = await nextPage(lastCandidate);
      if (page.length === 0) return { ...tally, isComplete: true };
      for (const candidate of page) {
        if (performance.now() > deadline) return { ...tally, isComplete: false };
        await removeImage(deps, principal, candidate, reason, tally);
      }
      lastCandidate = page.at(-1);
    }
  };
}

type Tally = { images: number; renditions: number; files: number; bytes: number; errors: string[] };

async function removeImage(
  deps: Dependencies,
  actor: Principal,
  candidate: PurgeCandidate,
  reason: PurgeReason,
  tally: Tally,
): Promise<void> {
  try {
    const removedImage = await deps.purging.remove(actor, candidate, reason);
    if (!removedImage) return;
    tally.images++;
    tally.renditions += removedImage.renditions;
    deps.cache.evict(candidate);
    for (const file of removedImage.files) await removeFile(deps, file, tally);
  } catch (error) {
    addError(deps, tally, `Image ${candidate.id} could not be removed and is unchanged.`, error);
  }
}

/**
 * Removes a file that is no longer used. Holds the lock on the file's content, so that an upload cannot record the file
 * at the same time.
 */
async function removeFile(deps: Dependencies, { key, bytes }: RemovedFile, tally: Tally): Promise<void> {
  const file = parseKey(key);
  if (!file) return;
  try {
    if (!(await deps.storedFiles.removeUnused(file, () => deps.storage.remove(key)))) return;
    tally.files++;
    tally.bytes += bytes;
  } catch (error) {
    addError(
      deps,
      tally,
      `The file ${key} could not be removed; the sweep for orphaned files will try again.`,
      error,
    );
  }
}

function addError({ logger }: Dependencies, tally: Tally, sentence: string, error: unknown): void {
  logger.error({ err: error }, sentence);
  if (tally.errors.length < maxErrors) tally.errors.push(sentence);
}
