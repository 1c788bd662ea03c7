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

/** File in the database directory that marks a complete database. */
const readyMarker = 'VITRINE_READY';

/**
 * Opens the embedded PostgreSQL in `directory`; creates it if there is none. The caller holds the lock of the data
 * folder: two processes would corrupt the database.
 * @param onBroken called if the engine panics: it executes no more queries. A new process that opens the database
 *   repairs it.
 */
export async function openEmbeddedDatabase(
  directory: string,
  onBroken: (error: Error) => void = () => undefined,
): Promise<Database> {
  await setAsideIncomplete(directory);
  await mkdir(directory, { recursive: true });
  await assertFreeSpace(directory);
  const pglite = await PGlite.create({ dataDir: directory, extensions: { vector } });
  await markReady(directory);
  // The engine has a single session. A pool of one connection hands it to one caller at a time, so that no query runs
  // within the transaction of another caller.
  const pool = new Pool(
    Object.assign(createPgConfig(pglite), { max: 1, idleTimeoutMillis: 0, types: typeParsers }),
  );
  return {
    kind: 'embedded',
    sql: makeQueryBuilder(pool, (error) => {
      if (isPanic(error)) onBroken(error);
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

/** A start may need a new segment of the write-ahead log, 16 MiB, and some space for data. */
const neededMib = 32;

/** On a full disk the engine hangs instead of failing. */
async function assertFreeSpace(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20);
  if (freeMib >= neededMib) return;
  throw new DatabaseRefused(
    `The embedded database in ${directory} cannot be opened: its disk has ${freeMib} MiB free, and ${neededMib} MiB are needed. Free some space and start again.`,
  );
}

/** PostgreSQL panics if it cannot continue, for example because it cannot write its log to a full disk. */
function isPanic(error: unknown): error is Error {
  return error instanceof Error && 'severity' in error && error.severity === 'PANIC';
}

/**
 * Moves an incomplete database aside. A process that is killed during its very first start leaves one, and it can never
 * be opened. Nothing in it was ever acknowledged; it is still kept, because it may have been restored by hand.
 */
async function setAsideIncomplete(directory: string): Promise<void> {
  if (!existsSync(directory) || existsSync(join(directory, readyMarker))) return;
  const aside = `${directory}.unfinished`;
  await rm(aside, { recursive: true, force: true });
  await rename(directory, aside);
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
