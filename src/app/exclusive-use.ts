import type { Config } from '../config.ts';
import { isBelow } from '../data-folder/private-folder.ts';

/**
 * Whether this process is the only one that uses the data. This is the case with the embedded database, which only one
 * process can open at a time.
 */
export function isOnlyProcess({ database }: Pick<Config, 'database'>): boolean {
  return database.kind === 'embedded';
}

/**
 * Returns the subfolders of the data folder that may contain many files, for `protectDataFolder`. Omits the database
 * folder, which `openResources` makes private.
 */
export function findLargeFolders({ dataDir, storage }: Config): string[] {
  const path = storage.kind === 'local' ? storage.path : storage.stagingPath;
  return isBelow(path, dataDir) ? [path] : [];
}
