import { randomUUID } from 'node:crypto';
import { chmod, link, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { unlinkIfThere } from './storage-errors.ts';

/** A finished file and the path that it gets. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Gives finished files their names and, if they are originals, brings both to the disk. The names come first and
 * everything is synced together: a journaling file system then writes its journal once and not twice for each picture.
 * A power cut in between leaves a name with cut bytes, which no row knows yet; storing the content again replaces it.
 * `root` exists already. New folders get `folderMode`, or what the process gives them.
 */
export function makeDurableLinker(root: string, folderMode?: number) {
  /** Folders that are known to exist and to be synced: making them costs nothing the second time. */
  const ready = new Set<string>([root]);

  async function ensureFolder(folder: string): Promise<void> {
    if (ready.has(folder)) return;
    const parent = dirname(folder);
    await ensureFolder(parent);
    await makeOne(folder).catch(unless('EEXIST'));
    await syncPath(parent);
    ready.add(folder);
  }

  async function makeOne(folder: string): Promise<void> {
    await mkdir(folder);
    // Overrides the umask.
    if (folderMode !== undefined) await chmod(folder, folderMode);
  }

  /** Runs `work` on a folder that is there; one that somebody removed meanwhile is made again, once. */
  async function inFolder(folder: string, work?: () => Promise<void>): Promise<void> {
    try {
      await ensureFolder(folder);
      await work?.();
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error;
      ready.clear();
      ready.add(root);
      await ensureFolder(folder);
      await work?.();
    }
  }

  return {
    /** Original bytes: on the disk with their name when this returns. The old names stay as well. */
    async linkDurably(moves: readonly Move[]): Promise<void> {
      const folders = [...new Set(moves.map(({ to }) => dirname(to)))];
      for (const folder of folders) await inFolder(folder);
      await Promise.all(moves.map(({ from, to }) => inFolder(dirname(to), () => linkOver(from, to))));
      await Promise.all([...moves.map(({ from }) => from), ...folders].map(syncPath));
    },

    /** Files that can be made again: they get their names, and the system brings them to the disk when it likes. */
    async move(moves: readonly Move[]): Promise<void> {
      const homeless = await renameAll(moves);
      for (const folder of new Set(homeless.map(({ to }) => dirname(to)))) await makeFolder(folder);
      await Promise.all(homeless.map(({ from, to }) => rename(from, to)));
    },
  };

  /** Another process may have made the folder: it is made only when it proves to be missing. */
  async function makeFolder(folder: string): Promise<void> {
    try {
      await makeOne(folder);
    } catch (error) {
      if (hasCode(error, 'EEXIST')) return;
      // The root is made by whoever sets the storage up: one that is gone is a disk that is not mounted.
      if (!hasCode(error, 'ENOENT') || dirname(folder) === root) throw error;
      await makeFolder(dirname(folder));
      await makeFolder(folder);
    }
  }
}

/** Answers the files whose folder is missing. */
async function renameAll(moves: readonly Move[]): Promise<Move[]> {
  const failed = await Promise.all(
    moves.map(async (move) => {
      const isMoved = await rename(move.from, move.to).then(() => true, unless('ENOENT'));
      return isMoved ? [] : [move];
    }),
  );
  return failed.flat();
}

/**
 * Gives `from` the name `to`. Where that name stands already, a row may rely on it: the new file is synced first, and
 * at each moment the name is either the old file or the new one. So a cut file is healed, and a sound one never lost.
 */
async function linkOver(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    await syncPath(from);
    // In staging, where a sweep finds what a crash leaves behind.
    const again = `${from}.${randomUUID()}`;
    await link(from, again);
    await rename(again, to);
    // When both names are the same file already, `rename` does nothing and leaves the first one.
    await unlinkIfThere(again);
  }
}

/** Lets a failure of this code pass. */
function unless(code: string): (error: unknown) => undefined {
  return (error) => {
    if (!hasCode(error, code)) throw error;
  };
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Brings a file's bytes, or a folder's list of names, to the disk. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
