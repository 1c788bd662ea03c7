import { AppError } from '../errors.ts';
import type { Storage } from './storage.ts';

/** Throws while the disk is nearly full. @throws {AppError} `storage_full` */
export type AssertFreeSpace = () => Promise<void>;

/** Creates a check that requires `minFreeBytes` of free space. */
export function makeAssertFreeSpace(
  storage: Pick<Storage, 'freeBytes'>,
  minFreeBytes: number,
): AssertFreeSpace {
  return async () => {
    const free = await storage.freeBytes();
    if (free >= minFreeBytes) return;
    const mib = (bytes: number) => Math.floor(bytes / 2 ** 20);
    throw new AppError(
      'storage_full',
      `The storage disk has ${mib(free)} MiB left; uploads need at least ${mib(minFreeBytes)} MiB free.`,
    );
  };
}
