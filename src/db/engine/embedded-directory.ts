import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseUnusable } from './database-errors.ts';

/** Marker file in the database directory. It is written once the database has been created completely. */
const readyMarker = 'VITRINE_READY';

/**
 * Prepares the directory of the embedded database. Creates it if it is missing.
 * @throws {DatabaseUnusable} if the disk is full.
 */
export async function prepareDirectory(directory: string): Promise<void> {
  await moveIncompleteAside(directory);
  await mkdir(directory, { recursive: true });
  await assertFreeSpace(directory);
}

/** Minimum free disk space. Opening a database may need a new write-ahead log segment (16 MiB) and some space for data. */
const minFreeMiB = 32;

/** Throws if too little space is free, because PGlite would hang on a full disk instead of failing. */
async function assertFreeSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= minFreeMiB) return;
  throw new DatabaseUnusable(
    `The embedded database in ${directory} cannot be opened: its disk has ${freeMiB} MiB free, but ${minFreeMiB} MiB are needed. Free some space and start Vitrine again.`,
  );
}

/**
 * Moves aside a database that was not created completely, because it can never be opened. A process that is killed during its
 * first start leaves such a database behind. The files are kept, because a directory without the marker may also be a restored
 * backup.
 */
async function moveIncompleteAside(directory: string): Promise<void> {
  if (!existsSync(directory) || existsSync(join(directory, readyMarker))) return;
  const target = `${directory}.unfinished`;
  await rm(target, { recursive: true, force: true });
  await rename(directory, target);
}

/** Records that the database in `directory` has been created completely. */
export async function markReady(directory: string): Promise<void> {
  const path = join(directory, readyMarker);
  if (existsSync(path)) return;
  const file = await open(path, 'w');
  try {
    await file.writeFile('This database was created completely by Vitrine.\n');
    await file.sync();
  } finally {
    await file.close();
  }
}
