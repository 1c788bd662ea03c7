import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { constants, copyFile, link, mkdir, rm, unlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { InputFiles, MatchRenditionsRequest, Order, RenditionPair, WorkKind } from './messages.ts';

/** The one folder that a decoder child may read beside its code. It holds the inputs of the task in hand only. */
export interface WorkFolder {
  readonly path: string;
  /** Makes the folder if it is missing. Never throws: a folder that cannot be made fails the first task, with a reason. */
  ensure(): void;
  /** Puts the files of `order` into the folder. Rejects with the system's error; nothing is left behind then. */
  place<Kind extends WorkKind>(order: Order<Kind>): Promise<PlacedOrder<Kind>>;
  /** Marks the folder as in use, for `sweepWorkFolders` of another process. */
  touch(): void;
  /** Removes the folder with its content. */
  remove(): Promise<void>;
}

/** An order whose paths lie in the child's folder. */
export interface PlacedOrder<Kind extends WorkKind> {
  readonly order: Order<Kind>;
  /** Removes the inputs. Never rejects. */
  readonly clear: () => Promise<void>;
}

/** Folders that no process touched for this time were left behind by a crash. */
const abandonedMs = 24 * 3_600_000;

/** Errors of `link` after which a copy may still work: other file systems, foreign owners, systems without links. */
const unlinkable = ['EXDEV', 'EPERM', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/** A work folder below `root`, not made yet. Inputs are hard links where `root` is on the file system of the pictures. */
export function makeWorkFolder(root: string): WorkFolder {
  const path = join(root, randomUUID());
  let count = 0;

  async function place<Kind extends WorkKind>(order: Order<Kind>): Promise<PlacedOrder<Kind>> {
    const placed: string[] = [];
    const clear = async () => void (await Promise.allSettled(placed.map((file) => unlink(file))));
    const placeFile = async (from: string): Promise<string> => {
      // The file's own name shows in system tools what a child is working on; the number keeps two of a name apart.
      const to = join(path, `${basename(from).slice(0, 80)}.${++count}`);
      placed.push(to);
      await linkOrCopy(from, to).catch(async (error: unknown) => {
        if (!hasCode(error, 'ENOENT')) throw error;
        // Either side may be missing. A folder that somebody removed is made again; else `from` is what is missing.
        await mkdir(path, { recursive: true });
        await linkOrCopy(from, to);
      });
      return to;
    };
    try {
      return {
        order: { ...order, request: await withPlaces(order.request, placeFile) },
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
 * Removes work folders below `root` that a crash left behind: every one if `isAlone`, else those that have been
 * abandoned for a day.
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

type Place = (path: string) => Promise<string>;

/** The same request with its files at the places that `place` gives them. */
async function withPlaces(
  request: InputFiles | MatchRenditionsRequest,
  place: Place,
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
    if (!unlinkable.some((code) => hasCode(error, code))) throw error;
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
    // A folder that is missing or not writable shows at the first task, which fails with the system's reason.
  }
}
