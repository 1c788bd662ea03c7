import { Readable } from 'node:stream';
import type { InstallationQueries } from '../db/installation.ts';
import { AppError, FileMissing, StartRefused } from '../errors.ts';
import type { Logger } from '../model/logger.ts';
import { makeOutage } from '../model/outage.ts';
import { installationKey } from '../storage/keys.ts';
import type { Staging } from '../storage/staging.ts';
import type { Storage } from '../storage/storage.ts';

interface Dependencies {
  readonly installation: InstallationQueries;
  readonly storage: Pick<Storage, 'readAll' | 'store'>;
  readonly staging: Staging;
  readonly logger: Logger;
}

/**
 * Makes sure that database and storage belong together, before anything is written. With another folder, bucket or prefix,
 * or a disk that is not mounted, every picture would look lost; and with the storage of another database, every file of
 * that one would look orphaned. False: the storage does not answer, so ask again; true is for good.
 * @throws {StartRefused} when they do not belong together.
 */
export type ClaimStorage = () => Promise<boolean>;

/** @see ClaimStorage */
export function makeClaimStorage(deps: Dependencies): ClaimStorage {
  const outage = makeOutage(deps.logger, {
    level: 'warn',
    began: 'the storage does not answer: jobs and sweeps wait until it is known to be the right one',
    ended: 'the storage answers, and is the right one',
  });
  let isClaimed = false;
  return async () => {
    if (isClaimed) return true;
    try {
      await claim(deps);
      isClaimed = true;
      outage.ended();
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      outage.began(error.message);
    }
    return isClaimed;
  };
}

/** Why a start with this storage would be refused, and what to do. */
export interface StorageMismatch {
  readonly what: string;
  readonly remedy: string;
}

/** Looks whether database and storage belong together, and changes nothing. @throws when one of them does not answer. */
export async function findStorageMismatch(
  deps: Pick<Dependencies, 'storage'> & { readonly installation: Pick<InstallationQueries, 'find'> },
): Promise<StorageMismatch | undefined> {
  const { id, isStorageMarked } = await deps.installation.find();
  const found = await readMarker(deps);
  return found === undefined && !isStorageMarked ? undefined : compare(found, id);
}

async function claim(deps: Dependencies): Promise<void> {
  const { installation } = deps;
  const { id, isStorageMarked } = await installation.find();
  const found = (await readMarker(deps)) ?? (isStorageMarked ? undefined : await writeMarker(deps, id));
  assertOurs(found, id);
  if (!isStorageMarked) await installation.noteStorageMarked();
}

async function readMarker({ storage }: Pick<Dependencies, 'storage'>): Promise<string | undefined> {
  try {
    return (await storage.readAll(installationKey)).toString('utf8').trim();
  } catch (error) {
    if (error instanceof FileMissing) return undefined;
    throw error;
  }
}

/** What is there afterwards: another process may have been faster. */
async function writeMarker(deps: Dependencies, id: string): Promise<string | undefined> {
  const { path } = await deps.staging.receive(Readable.from([Buffer.from(id)]));
  try {
    await deps.storage.store([{ path, key: installationKey }], 'original');
  } finally {
    await deps.staging.discard(path);
  }
  return readMarker(deps);
}

function assertOurs(found: string | undefined, id: string): void {
  const mismatch = compare(found, id);
  if (mismatch) throw new StartRefused(`${mismatch.what} ${mismatch.remedy}`);
}

function compare(found: string | undefined, id: string): StorageMismatch | undefined {
  if (found === id) return undefined;
  if (found === undefined)
    return {
      what: `The storage does not hold the pictures of this database: its file ${installationKey} is missing.`,
      remedy: `Are STORAGE_PATH, S3_BUCKET and S3_PREFIX right, and is the disk mounted? If the pictures were moved here without that file, write the line ${id} into it.`,
    };
  return {
    what: `The storage belongs to another database: its file ${installationKey} names another installation.`,
    remedy: `Set STORAGE_PATH or S3_PREFIX to a place of its own for this database. If the other database is gone for good, write the line ${id} into that file.`,
  };
}
