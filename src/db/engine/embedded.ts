import { Pool } from 'pg';
import type { Database } from '../database.ts';
import { EmbeddedStream } from './embedded-stream.ts';
import { makeBindingDetector, makeQueryBuilder, runSession, typeParsers } from './pool.ts';
import { beginOpening, type EmbeddedThread } from './start-embedded-thread.ts';

/**
 * Opens the embedded PostgreSQL database in `directory`. Creates it if it does not exist. The caller must hold the data
 * folder's lock, because the database would be corrupted if two processes opened it.
 * @param onPanic called if PostgreSQL panics, or if its thread ends. No more queries can then be executed until a new process opens the database.
 * @param opening the result of `beginOpening`, if it has been called
 */
export async function openEmbeddedDatabase(
  directory: string,
  onPanic: (error: Error) => void = () => undefined,
  opening: Promise<EmbeddedThread> = beginOpening(directory),
): Promise<Database> {
  const thread = await opening;
  void thread.ended.then(onPanic);
  // PGlite has a single session. The pool has one connection, so that only one caller uses the session at a time. Otherwise,
  // a query could run within another caller's transaction.
  const pool = new Pool({
    stream: () => connectTo(thread),
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
      await thread.close();
    },
  };
}

/**
 * Opens a connection. The session of PGlite outlives the connections of the pool, which replaces a connection after some errors,
 * so whatever the last connection left behind is discarded: an open transaction, and statements that it prepared.
 */
function connectTo({ beginSession, execute }: EmbeddedThread): EmbeddedStream {
  return new EmbeddedStream(execute, beginSession);
}

/** Whether PostgreSQL panicked. It panics if it cannot continue, for example if the disk has no space for its log. */
function isPanic(error: unknown): error is Error {
  return error instanceof Error && 'severity' in error && error.severity === 'PANIC';
}
