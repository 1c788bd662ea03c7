import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { constants, copyFile, link, mkdir, rm, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { InputFiles, MatchRenditionsRequest, RenditionPair, Task, TaskKind } from './messages.ts';

/** The only folder besides its code that a decoder child may read. Contains the inputs of the current task. */
export interface WorkFolder {
  readonly path: string;
  /**
   * Creates the folder if it is missing. Never throws: if that fails, the first task rejects with the system's error.
   */
  ensure(): void;
  /** Puts the input files of a task into the folder. If that fails, rejects with the system's error and leaves none. */
  place<Kind extends TaskKind>(task: Task<Kind>): Promise<PlacedTask<Kind>>;
  /** Marks the folder as in use, for `sweepWorkFolders` of another process. */
  touch(): void;
  /** Removes the folder and its content. */
  remove(): Promise<void>;
}

/** A task with paths in the child's folder. */
export interface PlacedTask<Kind extends TaskKind> {
  readonly task: Task<Kind>;
  /** Removes the inputs. Never rejects. */
  readonly clear: () => Promise<void>;
}

/** Folders not touched by any process for this time were left behind by a crash. */
const abandonedMs = 24 * 3_600_000;

/** Errors of `link` after which a copy may succeed: another file system, another owner, no support for hard links. */
const errorsToCopyAfter = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Returns a work folder below `root`, not created yet. Inputs are hard links if `root` is on their file system. */
export function makeWorkFolder(root: string): WorkFolder {
  const path = join(root, randomUUID());
  let count = 0;

  async function place<Kind extends TaskKind>(task: Task<Kind>): Promise<PlacedTask<Kind>> {
    const placed: string[] = [];
    const clear = async () => void (await Promise.allSettled(placed.map((file) => unlink(file))));
    const placeFile = async (from: string): Promise<string> => {
      // The file's name shows in system tools what a child is processing; the number makes it unique.
      const to = join(path, `${basename(from).slice(0, 80)}.${++count}`);
      placed.push(to);
      await linkOrCopy(from, to).catch(async (error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error;
        // Either the folder or `from` is missing. If it is `from`, the second attempt fails too.
        await mkdir(path, { recursive: true });
        await linkOrCopy(from, to);
      });
      return to;
    };
    try {
      return {
        task: { ...task, request: await withPlacedFiles(task.request, placeFile) },
        clear,
      };
    } catch (error) {
      await clear();
      throw error;
    }
  }

  return {
    path,
    ensure: () => attempt(() => mkdirSync(path, { recursive: true })),
    place,
    touch: () => attempt(() => utimesSync(path, new Date(), new Date())),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/**
 * Removes work folders below `root` that a crash left behind: all of them if `isAlone`, otherwise those not touched for
 * a day.
 */
export function sweepWorkFolders(root: string, isAlone: boolean): void {
  attempt(() => {
    for (const name of readdirSync(root)) {
      const path = join(root, name);
      if (isAlone || Date.now() - statSync(path).mtimeMs > abandonedMs)
        rmSync(path, { recursive: true, force: true });
    }
  });
}

type PlaceFile = (path: string) => Promise<string>;

/** Returns the request with each path replaced by the one that `place` returns. */
async function withPlacedFiles(
  request: InputFiles | MatchRenditionsRequest,
  place: PlaceFile,
): Promise<typeof request> {
  if ('pairs' in request) {
    const placePair = async (pair: RenditionPair) => ({
      ...pair,
      path: await place(pair.path),
      storedPath: await place(pair.storedPath),
    });
    return { pairs: await Promise.all(request.pairs.map(placePair)) };
  }
  const path = await place(request.path);
  if (request.others === undefined) return { ...request, path };
  const placeOther = async (other: { readonly name: string; readonly path: string }) => ({
    ...other,
    path: await place(other.path),
  });
  return { ...request, path, others: await Promise.all(request.others.map(placeOther)) };
}

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch (error) {
    if (!errorsToCopyAfter.some((code) => hasCode(error, code))) throw error;
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function attempt(work: () => void): void {
  try {
    work();
  } catch {
    // A missing or read-only folder is reported by the first task, which fails with the system's error.
  }
}
