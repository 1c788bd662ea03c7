import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeAvailabilityLog } from '../availability-log.ts';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, FileMissing, StartRefused } from '../errors.ts';
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
 * Checks that database and storage belong together, by a marker file in the storage. A new storage gets one. With a wrong
 * folder, bucket or prefix, or a disk that is not mounted, every picture would seem to be missing; with the storage of
 * another database, all its files would seem to be orphaned.
 * @returns false while the storage does not respond: call again. True is final.
 * @throws {StartRefused} if they do not belong together.
 */
export type ClaimStorage = () => Promise<boolean>;

/** @see ClaimStorage */
export function makeClaimStorage(deps: Dependencies): ClaimStorage {
  const availability = makeAvailabilityLog(deps.logger, {
    level: 'warn',
    lost: 'the storage does not respond: jobs and sweeps wait until it has been checked',
    restored: 'the storage responds, and belongs to this database',
  });
  let isClaimed = false;
  return async () => {
    if (isClaimed) return true;
    try {
      await claim(deps);
      isClaimed = true;
      availability.restored();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      availability.lost(error.message);
    }
    return isClaimed;
  };
}

/** Why a start with this storage would be refused, and what to do about it. */
export interface StorageMismatch {
  readonly what: string;
  readonly remedy: string;
}

/** Checks that database and storage belong together, without writing. @throws if one of them does not respond. */
export async function findStorageMismatch(
  deps: Pick<Dependencies, 'storage'> & { readonly installation: Pick<InstallationQueries, 'find'> },
): Promise<StorageMismatch | undefined> {
  const { id, isStorageMarked } = await deps.installation.find();
  const markedId = await readMarker(deps);
  return markedId === undefined && !isStorageMarked ? undefined : compare(markedId, id);
}

async function claim(deps: Dependencies): Promise<void> {
  const { installation } = deps;
  const { id, isStorageMarked } = await installation.find();
  const markedId = (await readMarker(deps)) ?? (isStorageMarked ? undefined : await writeMarker(deps, id));
  const mismatch = compare(markedId, id);
  if (mismatch) throw new StartRefused(`${mismatch.what} ${mismatch.remedy}`);
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

/** Returns the marker that is there afterwards: another process may have written one first. */
async function writeMarker(deps: Dependencies, id: string): Promise<string | undefined> {
  const { path } = await deps.staging.receive(Readable.from([Buffer.from(id)]));
  try {
    await deps.storage.store([{ path, key: installationKey }], 'original');
  } finally {
    await deps.staging.discard(path);
  }
  return readMarker(deps);
}

function compare(markedId: string | undefined, id: string): StorageMismatch | undefined {
  if (markedId === id) return undefined;
  if (markedId === undefined)
    return {
      what: `The storage does not hold the pictures of this database: its file ${installationKey} is missing.`,
      remedy: `Are STORAGE_PATH, S3_BUCKET and S3_PREFIX right, and is the disk mounted? If the pictures were moved here without that file, write the line ${id} into it.`,
    };
  return {
    what: `The storage belongs to another database: its file ${installationKey} names another installation.`,
    remedy: `Set STORAGE_PATH or S3_PREFIX to a place of its own for this database. If the other database no longer exists, write the line ${id} into that file.`,
  };
}

/** Interval between two attempts to claim a storage that does not respond. */
const retryMs = 500;

/**
 * Calls `begin` once the storage is claimed: at once, or when it responds.
 * @param refuse called if the storage turns out to belong to another database
 * @returns a function that stops waiting
 */
export function whenClaimed(
  claimStorage: ClaimStorage,
  begin: () => void,
  refuse: (error: StartRefused) => void,
): () => void {
  const stopping = new AbortController();

  async function wait(): Promise<void> {
    while (!(await isClaimed())) await sleep(retryMs, undefined, stopping);
    if (!stopping.signal.aborted) begin();
  }

  async function isClaimed(): Promise<boolean> {
    try {
      return await claimStorage();
    } catch (error) {
      // Other errors mean that the database does not respond, either.
      if (!(error instanceof StartRefused)) return false;
      stopping.abort();
      refuse(error);
      return false;
    }
  }

  void wait().catch(() => undefined);
  return () => stopping.abort();
}
