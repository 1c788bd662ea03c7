import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { createPgConfig } from '@electric-sql/pglite/node-postgres';
import { vector } from '@electric-sql/pglite-pgvector';
import { Pool } from 'pg';
import { DatabaseRefused } from './database-errors.ts';
import type { Database } from '../database.ts';
import { makeQueryBuilder, runSession, typeParsers } from './pool.ts';

/** Written into the database's folder when it was created completely. */
const readyMarker = 'VITRINE_READY';

/**
 * Opens the embedded PostgreSQL in `directory`, or creates it. The caller holds the lock of the data folder: two
 * processes on one folder would destroy it.
 * @param onBroken told when the engine has broken down, and why: it answers nothing more. Opening it anew in another
 *   process repairs it.
 */
export async function openEmbeddedDatabase(
  directory: string,
  onBroken: (error: Error) => void = () => undefined,
): Promise<Database> {
  await setAsideUnfinished(directory);
  await mkdir(directory, { recursive: true });
  await assertRoom(directory);
  const pglite = await PGlite.create({ dataDir: directory, extensions: { vector } });
  await markReady(directory);
  // The engine has one session: a pool of one lends it to one user at a time, so that no query slips into the
  // transaction of another.
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

/** A start may need one new segment of the log, 16 MiB, and room to move. */
const neededMib = 32;

/** On a full disk the engine neither opens nor fails: nobody would learn why. */
async function assertRoom(directory: string): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = Math.floor((bavail * bsize) / 2 ** 20);
  if (free >= neededMib) return;
  throw new DatabaseRefused(
    `The embedded database in ${directory} cannot be opened: its disk has ${free} MiB left, and it needs ${neededMib}. Free some space, and start again.`,
  );
}

/** PostgreSQL's word for what it cannot go on after, such as a log that cannot be written on a full disk. */
function isPanic(error: unknown): error is Error {
  return error instanceof Error && 'severity' in error && error.severity === 'PANIC';
}

/**
 * A kill during the very first start leaves a half-made database that never opens again. Without the marker nothing was
 * ever acknowledged from it; it is still moved aside and not removed, in case somebody restored it by hand.
 */
async function setAsideUnfinished(directory: string): Promise<void> {
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
