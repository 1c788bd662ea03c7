import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  chmod,
  constants,
  mkdir,
  opendir,
  readFile,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import { makeDurableLinker } from './durable-link.ts';
import { assertKey } from './keys.ts';
import { localStagingName } from './staging.ts';
import { missing, namedStorageError, namedWriteError, systemCode, unlinkIfThere } from './storage-errors.ts';
import type { ByteRange, Storage, StoredFile } from './storage.ts';

/** How files are stored. */
interface LocalStorageOptions {
  /** New files and folders get the permissions that others have on the root, regardless of the umask. */
  readonly followsRoot?: boolean;
}

/** Storage in a folder of this machine. Staging lies in the same folder, so that storing a file moves no bytes. */
export async function makeLocalStorage(root: string, options: LocalStorageOptions = {}): Promise<Storage> {
  const stagingDirectory = join(root, localStagingName);
  await mkdir(root, { recursive: true });
  const modes = options.followsRoot ? await readModes(root) : undefined;
  await makeStagingFolder(stagingDirectory, modes?.folder);
  const linker = makeDurableLinker(root, modes?.folder);

  const pathOf = (key: string): string => {
    assertKey(key);
    return join(root, key);
  };
  return {
    kind: 'local',
    stagingDirectory,
    store: (files, kind) =>
      written(async () => {
        if (modes) await Promise.all(files.map(({ path }) => chmod(path, modes.file)));
        const moves = files.map(({ path, key }) => ({ from: path, to: pathOf(key) }));
        return kind === 'original' ? linker.linkDurably(moves) : linker.move(moves);
      }),
    async stat(key) {
      const found = await stat(pathOf(key)).catch((error: unknown) => {
        if (missing(error)) return undefined;
        throw namedStorageError(error);
      });
      return found?.isFile() ? { key, bytes: found.size, modifiedAt: found.mtime } : undefined;
    },
    read: (key, range) => named(() => openStream(pathOf(key), range)),
    readAll: (key) => named(() => readFile(pathOf(key))),
    localCopy: (key) =>
      named(async () => {
        await access(pathOf(key));
        return { path: pathOf(key), release: () => Promise.resolve() };
      }),
    remove: (key) => written(() => unlinkIfThere(pathOf(key))),
    list: () => listFiles(root, localStagingName),
    async freeBytes() {
      const { bavail, bsize } = await written(() => statfs(root));
      return bavail * bsize;
    },
    // With a trailing dot, a file in place of the folder is detected, too.
    probe: () => written(() => access(`${stagingDirectory}/.`, constants.W_OK | constants.X_OK)),
    check: () => written(() => checkFolder(stagingDirectory)),
    // A file gets its name when it is whole, and the sweep of staging removes the others.
    sweepUnfinished: () => Promise.resolve(0),
    direct: undefined,
    close: () => Promise.resolve(),
  };
}

/**
 * Modes of files and folders derived from their root; `undefined` if the root is private, as new files are by default.
 */
async function readModes(root: string): Promise<{ file: number; folder: number } | undefined> {
  const { mode } = await stat(root);
  if ((mode & 0o077) === 0) return undefined;
  // The setgid bit (02000) is kept.
  return { file: (mode & 0o066) | 0o600, folder: (mode & 0o2077) | 0o700 };
}

/** The folder of the decoders' inputs lies in it and may have been made first. One of another user stays as it is. */
async function makeStagingFolder(folder: string, mode: number | undefined): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (mode === undefined) return;
  await chmod(folder, mode).catch((error: unknown) => {
    if (systemCode(error) !== 'EPERM') throw error;
  });
}

/** Runs `work`; the system's errors leave it as `name` names them. */
async function renaming<T>(name: (error: unknown) => unknown, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw name(error);
  }
}

const named = <T>(work: () => Promise<T>): Promise<T> => renaming(namedStorageError, work);
const written = <T>(work: () => Promise<T>): Promise<T> => renaming(namedWriteError, work);

/** Waits for the file to be open, so that a missing one is an error here and not in the middle of an answer. */
function openStream(path: string, range: ByteRange | undefined): Promise<Readable> {
  const stream = createReadStream(path, range && { start: range.first, end: range.last });
  return new Promise((resolve, reject) => {
    stream.once('open', () => resolve(stream));
    stream.once('error', reject);
  });
}

async function checkFolder(folder: string): Promise<void> {
  const path = join(folder, `check-${randomUUID()}`);
  try {
    await writeFile(path, path);
    if ((await readFile(path, 'utf8')) !== path) {
      throw new AppError('storage_failed', 'The storage gave back other bytes than were written to it.');
    }
  } finally {
    await rm(path, { force: true });
  }
}

/** Every file below `root` except in the folder `except`, one at a time: a store may hold millions. */
async function* listFiles(root: string, except: string, prefix = ''): AsyncGenerator<StoredFile> {
  const folder = await opendir(join(root, prefix)).catch((error: unknown) => {
    if (missing(error)) return undefined;
    throw error;
  });
  if (!folder) return;
  for await (const entry of folder) {
    const key = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory() && key !== except) yield* listFiles(root, except, key);
    else if (entry.isFile()) yield* describe(root, key);
  }
}

/** A file that goes away while the list is made is left out. */
async function* describe(root: string, key: string): AsyncGenerator<StoredFile> {
  const found = await stat(join(root, key)).catch((error: unknown) => {
    if (missing(error)) return undefined;
    throw error;
  });
  if (found) yield { key, bytes: found.size, modifiedAt: found.mtime };
}
