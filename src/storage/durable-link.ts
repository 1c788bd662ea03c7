import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { removeIfExists } from './storage-errors.ts';

/** A finished file and its final path. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Creates functions that put finished files in place. Originals are linked first and then synced together with their
 * folders, so that a journaling file system writes its journal once per picture instead of twice. A power cut in between
 * leaves a truncated file that no row refers to yet; storing the content again replaces it.
 * @param root must exist
 * @param folderMode mode of new folders; by default that of the process
 */
export function makeDurableLinker(root: string, folderMode?: number) {
  /** Folders known to exist and to be synced. */
  const readyFolders = new Set<string>([root]);

  async function ensureFolder(folder: string): Promise<void> {
    if (readyFolders.has(folder)) return;
    const parent = dirname(folder);
    await ensureFolder(parent);
    await createFolder(folder).catch(ignoreCode('EEXIST'));
    await syncPath(parent);
    readyFolders.add(folder);
  }

  async function createFolder(folder: string): Promise<void> {
    await mkdir(folder);
    // Overrides the umask.
    if (folderMode !== undefined) await chmod(folder, folderMode);
  }

  /** Runs `work` once the folder exists. If the folder was removed meanwhile, creates it again and retries once. */
  async function inFolder(folder: string, work?: () => Promise<void>): Promise<void> {
    try {
      await ensureFolder(folder);
      await work?.();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      readyFolders.clear();
      readyFolders.add(root);
      await ensureFolder(folder);
      await work?.();
    }
  }

  return {
    /** Links originals. When this returns, bytes and names are on disk. The old names remain too. */
    async linkDurably(moves: readonly Move[]): Promise<void> {
      const folders = [...new Set(moves.map(({ to }) => dirname(to)))];
      for (const folder of folders) await inFolder(folder);
      await Promise.all(moves.map(({ from, to }) => inFolder(dirname(to), () => linkOver(from, to))));
      await Promise.all([...moves.map(({ from }) => from), ...folders].map(syncPath));
    },

    /** Moves files that can be regenerated, without syncing. */
    async move(moves: readonly Move[]): Promise<void> {
      const failedMoves = await tryRenames(moves);
      for (const folder of new Set(failedMoves.map(({ to }) => dirname(to))))
        await createMissingFolder(folder);
      await Promise.all(failedMoves.map(({ from, to }) => rename(from, to)));
    },
  };

  /** Creates a folder and its missing parents. Another process may create it at the same time. */
  async function createMissingFolder(folder: string): Promise<void> {
    try {
      await createFolder(folder);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      // The root is created at setup. If it is missing, its disk is probably not mounted.
      if (!hasCode(error, 'ENOENT') || dirname(folder) === root) throw error;
      await createMissingFolder(dirname(folder));
      await createMissingFolder(folder);
    }
  }
}

/** Renames files. Returns the moves that failed because the target folder is missing. */
async function tryRenames(moves: readonly Move[]): Promise<Move[]> {
  const failed = await Promise.all(
    moves.map(async (move) => {
      const isMoved = await rename(move.from, move.to).then(() => true, ignoreCode('ENOENT'));
      return isMoved ? [] : [move];
    }),
  );
  return failed.flat();
}

/**
 * Links `from` as `to`. A row may rely on an existing `to`, so the new file is synced first and then replaces it atomically:
 * a truncated file gets repaired, and an intact one is never lost.
 */
async function linkOver(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    await syncPath(from);
    // In staging, where a sweep removes what a crash leaves behind.
    const temporary = `${from}.${randomUUID()}`;
    await link(from, temporary);
    await rename(temporary, to);
    // If both names already are the same file, `rename` does nothing and keeps the first name.
    await removeIfExists(temporary);
  }
}

/** Returns an error handler that ignores errors with this code. */
function ignoreCode(code: string): (error: unknown) => undefined {
  return (error) => {
    if (!hasCode(error, code)) throw error;
  };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Syncs the bytes of a file, or the entries of a folder, to disk. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
