import { existsSync } from 'node:fs';
import { mkdir, open, rename, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { PGlite, protocol } from '@electric-sql/pglite';
import { vector } from '@electric-sql/pglite-pgvector';
import { Pool } from 'pg';
import type { Database } from '../database.ts';
import { DatabaseUnusable } from './database-errors.ts';
import { EmbeddedStream } from './embedded-stream.ts';
import { makeBindingDetector, makeQueryBuilder, runSession, typeParsers } from './pool.ts';

/** Marker file in the database directory. It is written once the database has been created completely. */
const readyMarker = 'VITRINE_READY';

/**
 * Opens the embedded PostgreSQL database in `directory`. Creates it if it does not exist. The caller must hold the data
 * folder's lock, because the database would be corrupted if two processes opened it.
 * @param onPanic called if PostgreSQL panics. No more queries can then be executed until a new process opens the database.
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
  // PGlite has a single session. The pool has one connection, so that only one caller uses the session at a time. Otherwise,
  // a query could run within another caller's transaction.
  const pool = new Pool({
    stream: () => connectTo(pglite),
    user: 'postgres',
    database: 'postgres',
    max: 1,
    idleTimeoutMillis: 0,
    types: typeParsers,
  });
  const detectTenantBinding = makeBindingDetector(pool);
  return {
    kind: 'embedded',
    sql: makeQueryBuilder(pool, detectTenantBinding, (error) => {
      if (isPanic(error)) onPanic(error);
    }),
    detectTenantBinding,
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

/**
 * Opens a connection. The session of PGlite outlives the connections of the pool, which replaces a connection after some errors,
 * so whatever the last connection left behind is discarded: an open transaction, and statements that it prepared.
 */
function connectTo(pglite: PGlite): EmbeddedStream {
  for (const statement of ['ROLLBACK', 'DISCARD ALL'])
    pglite.execProtocolRawSync(protocol.serialize.query(statement));
  return new EmbeddedStream((messages) => pglite.execProtocolRawSync(messages));
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

/** Whether PostgreSQL panicked. It panics if it cannot continue, for example if the disk has no space for its log. */
function isPanic(error: unknown): error is Error {
  return error instanceof Error && 'severity' in error && error.severity === 'PANIC';
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
