import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAvailabilityLog } from '../availability-log.ts';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, FileMissing, StartupError } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import { installationKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly installation: InstallationQueries;
  readonly storage: Pick<Storage, 'readAll' | 'store'>;
  readonly staging: Pick<Staging, 'receive' | 'discard'>;
  readonly logger: Logger;
}

/**
 * Checks that the database and storage belong together, using a marker file that is written to storage on first use.
 * Without this check, every original would appear to be missing if the folder, bucket or prefix were wrong or the disk
 * were not mounted. If storage belonged to a different database, every file would appear to be orphaned.
 * @returns true once storage is claimed; false if storage does not respond, in which case the caller should try again
 * @throws {StartupError} if the database and storage do not belong together.
 */
export type ClaimStorage = () => Promise<boolean>;

/** @see ClaimStorage */
export function makeClaimStorage(deps: Dependencies): ClaimStorage {
  const availability = makeAvailabilityLog(deps.logger, {
    level: 'warn',
    lost: 'storage does not respond; jobs and sweeps are paused until it does',
    restored: 'storage is responding and belongs to this database',
  });
  let isClaimed = false;
  return async () => {
    if (isClaimed) return true;
    try {
      await claim(deps);
      isClaimed = true;
      availability.reportSuccess();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      availability.reportFailure(error.message);
    }
    return isClaimed;
  };
}

/** Why the process cannot start with this storage, and what to do about it. */
export interface StorageMismatch {
  readonly problem: string;
  readonly remedy: string;
}

/**
 * Checks whether the database and storage belong together, without writing to either.
 * @throws if the database or storage does not respond.
 */
export async function findStorageMismatch(
  deps: Pick<Dependencies, 'storage'> & { readonly installation: Pick<InstallationQueries, 'find'> },
): Promise<StorageMismatch | undefined> {
  const { id, isStorageMarked } = await deps.installation.find();
  const markerId = await readMarker(deps);
  return markerId === undefined && !isStorageMarked ? undefined : describeMismatch(markerId, id);
}

async function claim(deps: Dependencies): Promise<void> {
  const { installation } = deps;
  const { id, isStorageMarked } = await installation.find();
  const markerId = (await readMarker(deps)) ?? (isStorageMarked ? undefined : await writeMarker(deps, id));
  const mismatch = describeMismatch(markerId, id);
  if (mismatch) throw new StartupError(`${mismatch.problem} ${mismatch.remedy}`);
  if (!isStorageMarked) await installation.recordStorageMarked();
}

async function readMarker({ storage }: Pick<Dependencies, 'storage'>): Promise<string | undefined> {
  try {
    return (await storage.readAll(installationKey)).toString('utf8').trim();
  } catch (error) {
    if (error instanceof FileMissing) return undefined;
    throw error;
  }
}

/** Writes the marker unless another process has already done so. Returns the id in the marker. */
async function writeMarker(deps: Dependencies, id: string): Promise<string | undefined> {
  const { path } = await deps.staging.receive(Readable.from([Buffer.from(id)]));
  try {
    await deps.storage.store([{ path, key: installationKey }], 'original');
  } finally {
    await deps.staging.discard(path);
  }
  return readMarker(deps);
}

function describeMismatch(markerId: string | undefined, id: string): StorageMismatch | undefined {
  if (markerId === id) return undefined;
  if (markerId === undefined)
    return {
      problem: `This storage location does not contain the images of this database: the file ${installationKey} is missing.`,
      remedy: `Check that STORAGE_PATH, S3_BUCKET and S3_PREFIX are correct and that the disk is mounted. If the images were moved here without that file, create it with this line: ${id}`,
    };
  return {
    problem: `This storage location belongs to a different database: the file ${installationKey} contains a different installation id.`,
    remedy: `Set STORAGE_PATH or S3_PREFIX to a location that only this database uses. If the other database no longer exists, replace the contents of that file with this line: ${id}`,
  };
}

/** Delay before trying again to claim storage, in milliseconds. */
const retryDelayMs = 500;

/**
 * Tries to claim storage until it succeeds, then calls `onClaimed`.
 * @param onMismatch called if the database and storage do not belong together
 * @returns a function that stops the attempts
 */
export function whenStorageClaimed(
  claimStorage: ClaimStorage,
  onClaimed: () => void,
  onMismatch: (error: StartupError) => void,
): () => void {
  const stopController = new AbortController();

  async function wait(): Promise<void> {
    while (!(await tryClaim())) await sleep(retryDelayMs, undefined, stopController);
    if (!stopController.signal.aborted) onClaimed();
  }

  async function tryClaim(): Promise<boolean> {
    try {
      return await claimStorage();
    } catch (error) {
      // Any other error means that the database does not respond.
      if (!(error instanceof StartupError)) return false;
      stopController.abort();
      onMismatch(error);
      return false;
    }
  }

  void wait().catch(() => undefined);
  return () => stopController.abort();
}
