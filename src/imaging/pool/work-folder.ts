import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readdirSync, rmSync, statSync, unlinkSync, utimesSync } from 'node:fs';
import { constants, copyFile, mkdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { InputFiles, MatchRenditionsRequest, RenditionPair, Task, TaskKind } from './messages.ts';

/** A folder that contains the inputs of a child's current task. The child may read only this folder and its code. */
export interface WorkFolder {
  readonly path: string;
  /**
   * Creates the folder if it is missing. Never throws. On failure, the first task rejects with the system's error.
   */
  createIfMissing(): void;
  /** Places a task's input files in the folder. On failure, removes them again and rejects with the system's error. */
  place<Kind extends TaskKind>(task: Task<Kind>): Promise<PlacedTask<Kind>>;
  /** Marks the folder as in use, so that `sweepWorkFolders` in other processes does not remove it. */
  touch(): void;
  /** Removes the folder and its content. */
  remove(): Promise<void>;
}

/** A task whose input files are in the child's folder. */
export interface PlacedTask<Kind extends TaskKind> {
  readonly task: Task<Kind>;
  /** Removes the inputs. Never throws. */
  readonly removeInputs: () => void;
}

/** A folder that no process has touched for this long was left behind by a crash. */
const abandonedMs = 24 * 3_600_000;

/** Error codes of `link` after which copying may succeed, because hard links are not supported or not allowed. */
const copyFallbackCodes = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** Returns a work folder below `root`, without creating it. Inputs are hard-linked if possible, otherwise copied. */
export function makeWorkFolder(root: string): WorkFolder {
  const path = join(root, randomUUID());
  let fileCount = 0;

  async function place<Kind extends TaskKind>(task: Task<Kind>): Promise<PlacedTask<Kind>> {
    const placedPaths: string[] = [];
    const removeInputs = () => placedPaths.forEach((file) => ignoreErrors(() => unlinkSync(file)));
    const placeFile = async (source: string): Promise<string> => {
      // The name shows administrators which file a child is processing. The number makes the name unique.
      const target = join(path, `${basename(source).slice(0, 80)}.${++fileCount}`);
      placedPaths.push(target);
      await linkOrCopy(source, target).catch(async (error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error;
        // Either the folder or `source` is missing. If `source` is missing, the second attempt also fails.
        await mkdir(path, { recursive: true });
        await linkOrCopy(source, target);
      });
      return target;
    };
    try {
      return {
        task: { ...task, request: await withPlacedFiles(task.request, placeFile) },
        removeInputs,
      };
    } catch (error) {
      removeInputs();
      throw error;
    }
  }

  return {
    path,
    createIfMissing: () => ignoreErrors(() => mkdirSync(path, { recursive: true })),
    place,
    touch: () => ignoreErrors(() => utimesSync(path, new Date(), new Date())),
    remove: () => rm(path, { recursive: true, force: true }),
  };
}

/**
 * Removes work folders below `root` that a crash left behind: all folders if `isOnlyProcess`, otherwise those that have
 * not been touched for a day.
 */
export function sweepWorkFolders(root: string, isOnlyProcess: boolean): void {
  ignoreErrors(() => {
    for (const name of readdirSync(root)) {
      const path = join(root, name);
      if (isOnlyProcess || Date.now() - statSync(path).mtimeMs > abandonedMs)
        rmSync(path, { recursive: true, force: true });
    }
  });
}

type PlaceFile = (path: string) => Promise<string>;

/** Returns the request with each path replaced by the result of `place`. */
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

/**
 * Links without leaving the event loop: the child is idle until its input is there, and passing such a short call to the thread
 * pool and back takes ten times as long as the call.
 */
async function linkOrCopy(source: string, target: string): Promise<void> {
  try {
    linkSync(source, target);
  } catch (error) {
    if (!copyFallbackCodes.some((code) => hasCode(error, code))) throw error;
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  }
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

function ignoreErrors(work: () => void): void {
  try {
    work();
  } catch {
    // A missing or read-only folder is reported by the first task, which fails with the system's error.
  }
}
