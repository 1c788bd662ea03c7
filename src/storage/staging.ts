import { createHash, randomUUID } from 'node:crypto';
import { type FileHandle, open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { headBytes } from '../model/picture.ts';
import { isMissing, toWriteError, removeIfExists } from './storage-errors.ts';

/** A completely received file that is not stored yet. */
export interface ReceivedFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the bytes, hexadecimal. */
  readonly contentHash: string;
  /** The first bytes, `headBytes` at most. */
  readonly head: Uint8Array;
}

/** The folder where files are written before they are stored. */
export interface Staging {
  readonly directory: string;
  /** Writes a stream to a new file, in constant memory. Removes the file if that fails. */
  receive(source: AsyncIterable<Buffer>): Promise<ReceivedFile>;
  /** Removes a file, if it exists. */
  discard(path: string): Promise<void>;
  /** Removes files older than `olderThanMs` and returns how many. */
  sweep(olderThanMs: number): Promise<number>;
}

/** Name of the staging folder in the root of local storage. No key begins with a dot. */
export const localStagingName = '.staging';

/** Creates staging in `directory`, which must exist. */
export function makeStaging(directory: string): Staging {
  return {
    directory,
    discard: removeIfExists,
    async receive(source) {
      const path = join(directory, randomUUID());
      try {
        return { path, ...(await writeAll(source, path)) };
      } catch (error) {
        await removeIfExists(path);
        throw toWriteError(error);
      }
    },
    async sweep(olderThanMs) {
      let removed = 0;
      for await (const entry of await opendir(directory)) {
        if (!entry.isFile() || !(await isOlder(join(directory, entry.name), olderThanMs))) continue;
        await removeIfExists(join(directory, entry.name));
        removed++;
      }
      return removed;
    },
  };
}

/** Writes and hashes a stream and counts its bytes. */
async function writeAll(source: AsyncIterable<Buffer>, path: string): Promise<Omit<ReceivedFile, 'path'>> {
  const hash = createHash('sha256');
  const head: Buffer[] = [];
  let bytes = 0;
  const file = await open(path, 'wx');
  try {
    for await (const chunk of source) {
      if (bytes < headBytes) head.push(chunk.subarray(0, headBytes - bytes));
      bytes += chunk.length;
      hash.update(chunk);
      await writeWhole(file, chunk);
    }
  } finally {
    await file.close();
  }
  return { bytes, contentHash: hash.digest('hex'), head: Buffer.concat(head) };
}

/** Repeats partial writes, which occur on a disk that fills up. */
async function writeWhole(file: FileHandle, chunk: Buffer): Promise<void> {
  for (let at = 0; at < chunk.length; ) at += (await file.write(chunk, at)).bytesWritten;
}

async function isOlder(path: string, milliseconds: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > milliseconds;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
