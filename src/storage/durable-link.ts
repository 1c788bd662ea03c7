import { randomUUID } from 'node:crypto';
import { link, mkdir, open, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';

/** A finished file and the path that it also gets. */
interface Move {
  readonly from: string;
  readonly to: string;
}

/**
 * Links finished files into place so that they survive a power cut: bytes first, then the name, then the folder that
 * holds the name. `root` exists already.
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

  async function linkInto({ from, to }: Move): Promise<void> {
    try {
      await link(from, to);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error;
      // The key names the content, so an equal size is the same file; any other was cut by a fault: the new one wins.
      const [there, here] = await Promise.all([stat(to), stat(from)]);
      if (there.size !== here.size) await replace(from, to);
    }
  }

  return {
    async store(moves: readonly Move[]): Promise<void> {
      const folders = [...new Set(moves.map(({ to }) => dirname(to)))];
      await Promise.all([...folders.map(ensureFolder), ...moves.map(({ from }) => syncPath(from))]);
      await Promise.all(moves.map(linkInto));
      await Promise.all(folders.map(syncPath));
    },
  };
}

/** At each moment `to` is either the old file or the new one. */
async function replace(from: string, to: string): Promise<void> {
  const beside = `${to}.${randomUUID()}`;
  await link(from, beside);
  await rename(beside, to);
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** Brings a file, or a folder's list of names, to the disk. */
async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
