import { randomUUID } from 'node:crypto';
import { accessSync, createReadStream, statSync } from 'node:fs';
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
import { isMissing, toReadError, toWriteError, systemCode, removeIfExists } from './storage-errors.ts';
import type { ByteRange, Storage, StoredFile } from './storage.ts';

/** Options of local storage. */
interface LocalStorageOptions {
  /** Whether new files and folders have the root folder's permissions for group and others, regardless of the umask. */
  readonly inheritRootMode?: boolean;
}

/** Creates storage in a local folder. Staging is in the same folder, so that storing a file does not copy its bytes. */
export async function makeLocalStorage(root: string, options: LocalStorageOptions = {}): Promise<Storage> {
  const stagingDirectory = join(root, localStagingName);
  await mkdir(root, { recursive: true });
  const modes = options.inheritRootMode ? await readModes(root) : undefined;
  await ensureStagingFolder(stagingDirectory, modes?.folder);
  const linker = makeDurableLinker(root, modes?.folder);

  const toPath = (key: string): string => {
    assertKey(key);
    return join(root, key);
  };
  return {
    kind: 'local',
    stagingDirectory,
    store: (files, kind) =>
      mapWriteErrors(async () => {
        if (modes) await Promise.all(files.map(({ path }) => chmod(path, modes.file)));
        const moves = files.map(({ path, key }) => ({ from: path, to: toPath(key) }));
        return kind === 'original' ? linker.linkDurably(moves) : linker.move(moves);
      }),
    // Synchronous, like `localCopy`: passing such a short call to the thread pool takes ten times as long as the call.
    stat: (key) =>
      mapReadErrors(() => {
        const stats = statSync(toPath(key), { throwIfNoEntry: false });
        return stats?.isFile() ? { key, bytes: stats.size, modifiedAt: stats.mtime } : undefined;
      }),
    read: (key, range) => mapReadErrors(() => openStream(toPath(key), range)),
    readAll: (key) => mapReadErrors(() => readFile(toPath(key))),
    localCopy: (key) =>
      mapReadErrors(() => {
        accessSync(toPath(key));
        return { path: toPath(key), release: () => Promise.resolve() };
      }),
    remove: (key) => mapWriteErrors(() => removeIfExists(toPath(key))),
    list: () => listFiles(root, localStagingName),
    async freeBytes() {
      const { bavail, bsize } = await mapWriteErrors(() => statfs(root));
      return bavail * bsize;
    },
    // With the trailing `/.`, this check fails if the path is a file instead of a folder.
    probe: () => mapWriteErrors(() => access(`${stagingDirectory}/.`, constants.W_OK | constants.X_OK)),
    check: () => mapWriteErrors(() => checkFolder(stagingDirectory)),
    // Incomplete files only exist in staging, which is swept separately.
    sweepUnfinished: () => Promise.resolve(0),
    directAccess: undefined,
    close: () => Promise.resolve(),
  };
}

/**
 * Derives the modes of new files and folders from the root folder's mode. Returns `undefined` if the root folder is
 * private, because new files are private by default.
 */
async function readModes(root: string): Promise<{ file: number; folder: number } | undefined> {
  const { mode } = await stat(root);
  if ((mode & 0o077) === 0) return undefined;
  // The setgid bit (02000) is preserved.
  return { file: (mode & 0o066) | 0o600, folder: (mode & 0o2077) | 0o700 };
}

/**
 * Creates the folder and sets its mode. The mode of an existing folder that belongs to a different user is not changed.
 */
async function ensureStagingFolder(folder: string, mode: number | undefined): Promise<void> {
  await mkdir(folder, { recursive: true });
  if (mode === undefined) return;
  await chmod(folder, mode).catch((error: unknown) => {
    if (systemCode(error) !== 'EPERM') throw error;
  });
}

/** Runs `work` and converts its errors with `convert`. */
async function mapErrors<T>(convert: (error: unknown) => unknown, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw convert(error);
  }
}

const mapReadErrors = <T>(work: () => T | Promise<T>): Promise<T> => mapErrors(toReadError, work);
const mapWriteErrors = <T>(work: () => Promise<T>): Promise<T> => mapErrors(toWriteError, work);

/** Opens a file and waits until it is open, so that a missing file is detected before a response starts. */
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
      throw new AppError(
        'storage_failed',
        'The test file read back from storage differs from what was written.',
      );
    }
  } finally {
    await rm(path, { force: true });
  }
}

/**
 * Iterates over all files below `root`, except those in `excludedFolder`. Lists the files one at a time, because there
 * may be millions.
 */
async function* listFiles(root: string, excludedFolder: string, prefix = ''): AsyncGenerator<StoredFile> {
  const folder = await opendir(join(root, prefix)).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (!folder) return;
  for await (const entry of folder) {
    const key = prefix ? `${prefix}/${entry.name}` : entry.name;
    if (entry.isDirectory() && key !== excludedFolder) yield* listFiles(root, excludedFolder, key);
    else if (entry.isFile()) yield* describeFile(root, key);
  }
}

/** Yields the file, or nothing if it has since been removed. */
async function* describeFile(root: string, key: string): AsyncGenerator<StoredFile> {
  const stats = await stat(join(root, key)).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
  if (stats) yield { key, bytes: stats.size, modifiedAt: stats.mtime };
}
