import { createHash, randomUUID } from 'node:crypto';
import { closeSync, openSync, write } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { headBytes } from '../model/picture.ts';
import { isMissing, toWriteError, removeIfExists } from './storage-errors.ts';

/** A file that has been received completely but is not stored yet. */
export interface ReceivedFile {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal SHA-256 of the bytes. */
  readonly contentHash: string;
  /** The first bytes, at most `headBytes`. */
  readonly head: Uint8Array;
}

/** The folder where files are written before they are stored. */
export interface Staging {
  readonly directory: string;
  /** Writes a stream to a new file, using constant memory. Removes the file if writing fails. */
  receive(source: AsyncIterable<Buffer>): Promise<ReceivedFile>;
  /** Removes a file, if it exists. */
  discard(path: string): Promise<void>;
  /** Removes files older than `olderThanMs`. Returns the number of files removed. */
  sweep(olderThanMs: number): Promise<number>;
}

/**
 * Name of the staging folder in the root of local storage. It cannot collide with a key, because no key begins with a
 * dot.
 */
export const localStagingName = '.staging';

/** Creates staging in an existing directory. */
export function makeStaging(directory: string): Staging {
  return {
    directory,
    discard: removeIfExists,
    async receive(source) {
      const path = join(directory, randomUUID());
      try {
        return { path, ...(await writeStream(source, path)) };
      } catch (error) {
        await removeIfExists(path);
        throw toWriteError(error);
      }
    },
    async sweep(olderThanMs) {
      let removedCount = 0;
      for await (const entry of await opendir(directory)) {
        if (!entry.isFile() || !(await isOlderThan(join(directory, entry.name), olderThanMs))) continue;
        await removeIfExists(join(directory, entry.name));
        removedCount++;
      }
      return removedCount;
    },
  };
}

/** Writes a stream to a new file, hashes it and counts its bytes. */
async function writeStream(source: AsyncIterable<Buffer>, path: string): Promise<Omit<ReceivedFile, 'path'>> {
  const hash = createHash('sha256');
  const headChunks: Buffer[] = [];
  let bytes = 0;
  // Opening and closing a file takes less time than passing the call to the thread pool.
  const file = openSync(path, 'wx');
  try {
    for await (const chunk of source) {
      if (bytes < headBytes) headChunks.push(chunk.subarray(0, headBytes - bytes));
      bytes += chunk.length;
      hash.update(chunk);
      await writeChunk(file, chunk);
    }
  } finally {
    closeSync(file);
  }
  return { bytes, contentHash: hash.digest('hex'), head: Buffer.concat(headChunks) };
}

const writeTo = promisify(write);

/** Writes a whole chunk. Continues after partial writes, which happen when a disk is filling up. */
async function writeChunk(file: number, chunk: Buffer): Promise<void> {
  for (let offset = 0; offset < chunk.length; ) offset += (await writeTo(file, chunk, offset)).bytesWritten;
}

async function isOlderThan(path: string, ageMs: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > ageMs;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}
