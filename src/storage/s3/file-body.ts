import { createHash } from 'node:crypto';
import { createReadStream, type ReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';

/** A file of this machine, ready to be sent. */
export interface FileBody {
  readonly bytes: number;
  /** SHA-256 of the bytes. */
  readonly sha256: Buffer;
  /** The bytes when they are few, else a new stream for each try: one that was sent cannot be sent again. */
  readonly open: () => Buffer | ReadStream;
}

/** Files up to this size are read at once: that is faster than a stream. */
const smallBytes = 256 * 1024;

/** Hashes the file anew: what arrives at the store is compared with what lies here, not with what should. */
export async function readFileBody(path: string): Promise<FileBody> {
  const { size } = await stat(path);
  if (size <= smallBytes) {
    const content = await readFile(path);
    const sha256 = createHash('sha256').update(content).digest();
    return { bytes: content.length, sha256, open: () => content };
  }
  return { bytes: size, sha256: await hashFile(path), open: () => createReadStream(path) };
}

async function hashFile(path: string): Promise<Buffer> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  return hash.digest();
}
