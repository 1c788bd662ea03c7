import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { originalKey } from '../../../src/storage/keys.ts';
import type { Storage, StoredFile } from '../../../src/storage/storage.ts';
import { makeStaging } from '../../../src/storage/staging.ts';

/** An empty store for one test, and a function that damages its files. */
export interface StorageUnderTest {
  readonly storage: Storage;
  /** Truncates the file at `key` to `bytes` bytes, as a media fault would. */
  readonly truncateFile: (key: string, bytes: number) => Promise<void>;
}

export const fileMissing = { name: 'FileMissing', message: 'The file is missing from storage.' };
export const contentHash = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
export const contentKey = (bytes: Uint8Array) => originalKey(1, contentHash(bytes));
export const missingKey = originalKey(1, '0'.repeat(64));

/** Writes bytes to staging and returns the path. */
export async function stage(storage: Storage, bytes: Buffer): Promise<string> {
  return (await makeStaging(storage.stagingDirectory).receive(Readable.from([bytes]))).path;
}

/** Stores bytes and returns the key. */
export async function put(storage: Storage, bytes: Buffer, key = contentKey(bytes)): Promise<string> {
  await storage.store([{ path: await stage(storage, bytes), key }], 'derived');
  return key;
}

/** Returns all stored files. */
export async function listAll(storage: Storage): Promise<StoredFile[]> {
  const files: StoredFile[] = [];
  for await (const file of storage.list()) files.push(file);
  return files;
}
