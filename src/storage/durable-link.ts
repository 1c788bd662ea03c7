import { randomUUID } from 'node:crypto';
import { closeSync, fsync, linkSync, openSync, renameSync } from 'node:fs';
import { chmod, mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { removeIfExists } from './storage-errors.ts';

// Opening, linking and renaming a file takes less time than passing the call to the thread pool, so only syncing does not happen on
// the event loop.
const sync = promisify(fsync);

/** A finished file and its final path. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Creates functions that move finished files to their final paths. Originals are first linked and then synced together
 * with their folders, so that a journaling file system writes its journal once per file instead of twice. A power
 * failure between the two steps may leave behind a truncated file. No row refers to the truncated file yet, and storing
 * the same content again replaces it.
 * @param root existing folder that contains all final paths
 * @param folderMode mode of new folders. Default: the mode that the umask allows.
 */
export function makeDurableLinker(root: string, folderMode?: number) {
  /** Existing folders whose entries in their parent folders have been synced. */
  const syncedFolders = new Set<string>([root]);

  async function ensureFolder(folder: string): Promise<void> {
    if (syncedFolders.has(folder)) return;
    const parent = dirname(folder);
    await ensureFolder(parent);
    await createFolder(folder).catch(ignoreCode('EEXIST'));
    await syncPath(parent);
    syncedFolders.add(folder);
  }

  async function createFolder(folder: string): Promise<void> {
    await mkdir(folder);
    // Unlike `mkdir`, `chmod` ignores the umask.
    if (folderMode !== undefined) await chmod(folder, folderMode);
  }

  /**
   * Ensures that the folder exists and runs `work`. If the folder turns out to be missing, creates it and retries once.
   */
  async function withFolder(folder: string, work?: () => Promise<void>): Promise<void> {
    try {
      await ensureFolder(folder);
      await work?.();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      syncedFolders.clear();
      syncedFolders.add(root);
      await ensureFolder(folder);
      await work?.();
    }
  }

  return {
    /**
     * Links originals to their final paths. When this returns, their bytes and names are on disk. The staging files
     * remain.
     */
    async linkDurably(moves: readonly Move[]): Promise<void> {
      const folders = [...new Set(moves.map(({ to }) => dirname(to)))];
      for (const folder of folders) await withFolder(folder);
      await Promise.all(moves.map(({ from, to }) => withFolder(dirname(to), () => linkOrReplace(from, to))));
      await Promise.all([...moves.map(({ from }) => from), ...folders].map(syncPath));
    },

    /** Moves derived files. They are not synced, because they can be derived again. */
    async move(moves: readonly Move[]): Promise<void> {
      const failedMoves = moves.filter((move) => !tryRename(move));
      for (const folder of new Set(failedMoves.map(({ to }) => dirname(to))))
        await createMissingFolder(folder);
      for (const { from, to } of failedMoves) renameSync(from, to);
    },
  };

  /** Creates a folder and its missing parents. Another process may create the folder at the same time. */
  async function createMissingFolder(folder: string): Promise<void> {
    try {
      await createFolder(folder);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      // The root must exist. If it is missing, its disk is probably not mounted.
      if (!hasCode(error, 'ENOENT') || dirname(folder) === root) throw error;
      await createMissingFolder(dirname(folder));
      await createMissingFolder(folder);
    }
  }
}

/** Renames a file. Returns `false` if the target folder is missing. */
function tryRename({ from, to }: Move): boolean {
  try {
    renameSync(from, to);
    return true;
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    return false;
  }
}

/**
 * Links `from` as `to`. If `to` exists, a row may already refer to it. The new file is therefore synced before it
 * atomically replaces the existing file. This replacement repairs a truncated file and never loses an intact file.
 */
async function linkOrReplace(from: string, to: string): Promise<void> {
  try {
    linkSync(from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    await syncPath(from);
    // The temporary link is in staging, where a sweep removes files left behind by a crash.
    const temporaryPath = `${from}.${randomUUID()}`;
    linkSync(from, temporaryPath);
    renameSync(temporaryPath, to);
    // If both paths are links to the same file, `rename` does nothing and keeps both.
    await removeIfExists(temporaryPath);
  }
}

/** Returns an error handler that ignores errors with this code and rethrows all other errors. */
function ignoreCode(code: string): (error: unknown) => undefined {
  return (error) => {
    if (!hasCode(error, code)) throw error;
  };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Syncs a file's bytes, or a folder's entries, to disk. */
async function syncPath(path: string): Promise<void> {
  const file = openSync(path, 'r');
  try {
    await sync(file);
  } finally {
    closeSync(file);
  }
}
