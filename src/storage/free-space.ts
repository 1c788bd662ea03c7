import { AppError } from '../errors.ts';
import type { Storage } from './storage.ts';

/** Throws if the disk is nearly full. @throws {AppError} `storage_full` */
export type AssertFreeSpace = () => Promise<void>;

/** Creates a check that at least `minFreeBytes` are free. */
export function makeAssertFreeSpace(
  storage: Pick<Storage, 'freeBytes'>,
  minFreeBytes: number,
): AssertFreeSpace {
  return async () => {
    const freeBytes = await storage.freeBytes();
    if (freeBytes >= minFreeBytes) return;
    const toMiB = (bytes: number) => Math.floor(bytes / 2 ** 20);
    throw new AppError(
      'storage_full',
      `The storage disk has ${toMiB(freeBytes)} MiB left, but uploads need at least ${toMiB(minFreeBytes)} MiB.`,
    );
  };
}
