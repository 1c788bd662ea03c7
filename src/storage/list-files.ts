import { opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { missing } from './storage-errors.ts';
import type { StoredFile } from './storage.ts';

/** Every file below `root` except in the folder `except`, one at a time: a store may hold millions. */
export async function* listFiles(root: string, except: string, prefix = ''): AsyncGenerator<StoredFile> {
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
