import { randomUUID } from 'node:crypto';
import { link, mkdir, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A finished file and the path that it gets. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Gives finished files their names and brings both to the disk. The names come first and everything is synced together:
 * a journaling file system then writes its journal once and not twice for each picture (measured: a tenth of the whole
 * ingest). A power cut in between leaves a name with cut bytes, which no row knows yet; storing the content again
 * replaces it. `root` exists already.
 */
export function makeDurableLinker(root: string) {
  /** Folders that are known to exist and to be synced: making them costs nothing the second time. */
  const ready = new Set<string>([root]);

  async function ensureFolder(folder: string): Promise<void> {
    if (ready.has(folder)) return;
    const parent = dirname(folder);
    await ensureFolder(parent);
    await mkdir(folder).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
    await syncPath(parent);
    ready.add(folder);
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
    /** With `keep` the old name stays as well. A file that has the new name already is replaced: it holds the same. */
    async store(moves: readonly Move[], keep: boolean): Promise<void> {
      const folders = [...new Set(moves.map(({ to }) => dirname(to)))];
      for (const folder of folders) await inFolder(folder);
      await Promise.all(
        moves.map(({ from, to }) =>
          inFolder(dirname(to), () => (keep ? linkOver(from, to) : rename(from, to))),
        ),
      );
      await Promise.all([
        ...moves.map(({ from, to }) => syncFile(keep ? from : to)),
        ...folders.map(syncPath),
      ]);
    },
  };
}

/** At each moment `to` is either the old file or the new one: a cut one is healed, and nobody finds none. */
async function linkOver(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    const beside = `${to}.${randomUUID()}`;
    await link(from, beside);
    await rename(beside, to);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Brings a file's bytes, or a folder's list of names, to the disk. */
/** A file that somebody removed meanwhile needs no syncing. */
async function syncFile(path: string): Promise<void> {
  await syncPath(path).catch((error: unknown) => {
    if (!hasCode(error, 'ENOENT')) throw error;
  });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
