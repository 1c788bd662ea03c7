import { AppError } from '../errors.ts';
import type { Storage } from './storage.ts';

/** Refuses new files while the disk is nearly full. @throws {AppError} `storage_full` */
export type AssertFreeSpace = () => Promise<void>;

/** @see AssertFreeSpace */
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
      `The disk of the storage has ${mib(free)} MiB left; uploads need at least ${mib(minFreeBytes)} MiB free.`,
    );
  };
}
