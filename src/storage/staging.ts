import { createHash, randomUUID } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { opendir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { missing, namedStorageError } from './storage-errors.ts';

/** Bytes of a file's beginning that are kept for telling its type. */
const headBytes = 4100;

/** A file that arrived completely and is not stored yet. */
export interface ReceivedFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of the bytes, hexadecimal. */
  readonly contentHash: string;
  /** The first bytes, 4,100 at most. */
  readonly head: Uint8Array;
}

/** Folder where files are written before they are stored. */
export interface Staging {
  readonly directory: string;
  /** Writes a stream to a new file; memory does not grow with its size. A file that fails half-way is removed. */
  receive(source: Readable): Promise<ReceivedFile>;
  /** Removes a file; one that is gone already is fine. */
  discard(path: string): Promise<void>;
  /** Removes files that were left behind more than `olderThanMs` ago; answers how many. */
  sweep(olderThanMs: number): Promise<number>;
}

/** Staging in `directory`, which exists. */
export function makeStaging(directory: string): Staging {
  const discard = (path: string) => rm(path, { force: true });
  return {
    directory,
    discard,
    async receive(source) {
      const path = join(directory, randomUUID());
      const meter = makeMeter();
      try {
        await pipeline(source, meter.stream, createWriteStream(path, { flags: 'wx' }));
      } catch (error) {
        await discard(path);
        throw namedStorageError(error);
      }
      return { path, ...meter.result() };
    },
    async sweep(olderThanMs) {
      let removed = 0;
      for await (const entry of await opendir(directory)) {
        if (!(await isOlder(join(directory, entry.name), olderThanMs))) continue;
        await discard(join(directory, entry.name));
        removed++;
      }
      return removed;
    },
  };
}

/** Counts and hashes what passes through, and keeps its beginning. */
function makeMeter() {
  const hash = createHash('sha256');
  const head: Buffer[] = [];
  let bytes = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      if (bytes < headBytes) head.push(chunk.subarray(0, headBytes - bytes));
      bytes += chunk.length;
      hash.update(chunk);
      done(null, chunk);
    },
  });
  return { stream, result: () => ({ bytes, contentHash: hash.digest('hex'), head: Buffer.concat(head) }) };
}

async function isOlder(path: string, milliseconds: number): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > milliseconds;
  } catch (error) {
    if (missing(error)) return false;
    throw error;
  }
}
