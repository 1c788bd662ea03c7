import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import { vector } from '@electric-sql/pglite-pgvector';
import { Pool } from 'pg';
import type { Database } from '../database.ts';
import { DatabaseRefused } from './database-errors.ts';
import { makeQueryBuilder, runSession, typeParsers } from './pool.ts';

/** Marker file in the database directory. It exists once the database has been created completely. */
const readyMarker = 'VITRINE_READY';

/**
 * Opens the embedded PostgreSQL database in `directory`, or creates one. The caller must hold the data folder's lock: two
 * processes would corrupt the database.
 * @param onPanic called if the engine panics. It then executes no more queries, but a new process that opens the database
 *   recovers it.
 */
export async function openEmbeddedDatabase(
  directory: string,
  onPanic: (error: Error) => void = () => undefined,
): Promise<Database> {
  await moveIncompleteAside(directory);
  await mkdir(directory, { recursive: true });
  await assertFreeSpace(directory);
  const pglite = await PGlite.create({ dataDir: directory, extensions: { vector } });
  await markReady(directory);
  // The engine has a single session. With a pool of one connection, only one caller uses it at a time: otherwise a query
  // could run within another caller's transaction.
  const pool = new Pool(
    Object.assign(createPgConfig(pglite), { max: 1, idleTimeoutMillis: 0, types: typeParsers }),
  );
  return {
    kind: 'embedded',
    sql: makeQueryBuilder(pool, (error) => {
      if (isPanic(error)) onPanic(error);
    }),
    session: (work) => runSession(pool, work),
    runScript: async (script) => {
      await pool.query(script);
    },
    async close() {
      await pool.end();
      await pglite.close();
    },
  };
}

/** Opening may need a new segment of the write-ahead log (16 MiB) and some space for data. */
const minFreeMiB = 32;

/** Checks the free space first, because on a full disk the engine hangs instead of failing. */
async function assertFreeSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeMiB = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMiB >= minFreeMiB) return;
  throw new DatabaseRefused(
    `The embedded database in ${directory} cannot be opened: its disk has ${freeMiB} MiB free, but ${minFreeMiB} MiB are needed. Free some space and start Vitrine again.`,
  );
}

/** PostgreSQL panics if it cannot continue, for example if the disk is too full for its write-ahead log. */
function isPanic(error: unknown): error is Error {
  return error instanceof Error && 'severity' in error && error.severity === 'PANIC';
}

/**
 * Moves aside a database that was not created completely and can never be opened. A process that is killed during its first
 * start leaves one behind. The files are kept, because a directory without the marker may also be a restored backup.
 */
async function moveIncompleteAside(directory: string): Promise<void> {
  if (!existsSync(directory) || existsSync(join(directory, readyMarker))) return;
  const target = `${directory}.unfinished`;
  await rm(target, { recursive: true, force: true });
  await rename(directory, target);
}

async function markReady(directory: string): Promise<void> {
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
