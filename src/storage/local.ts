import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, mkdir, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { AppError } from '../errors.ts';
import { assertKey } from './keys.ts';
import { makeDurableLinker } from './durable-link.ts';
import { missing, namedStorageError, namedWriteError, unlinkIfThere } from './storage-errors.ts';
import { listFiles } from './list-files.ts';
import { localStagingName } from './staging.ts';
import type { ByteRange, Storage } from './storage.ts';

/** Storage in a folder of this machine. Staging lies in the same folder, so that storing a file moves no bytes. */
export async function makeLocalStorage(root: string): Promise<Storage> {
  const stagingDirectory = join(root, localStagingName);
  await mkdir(stagingDirectory, { recursive: true });
  const linker = makeDurableLinker(root);

  const pathOf = (key: string): string => {
    assertKey(key);
    return join(root, key);
  };
  return {
    kind: 'local',
    stagingDirectory,
    store: (files, kind) =>
      written(() => {
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
    check: () => written(() => checkFolder(stagingDirectory)),
    // A file gets its name when it is whole, and the sweep of staging removes the others.
    sweepUnfinished: () => Promise.resolve(0),
    direct: undefined,
    close: () => Promise.resolve(),
  };
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
