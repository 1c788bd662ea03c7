import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import type { Logger } from '../../model/logger.ts';
import type { Database } from '../database.ts';
import { codeOf, DatabaseRefused, isConnectionLost } from './database-errors.ts';
import { makeQueryBuilder, runSession, typeParsers } from './pool.ts';

/** A PostgreSQL server, and how much of it one process may use. */
export interface PostgresSettings {
  /** With user and password: it goes into no log and no error. */
  readonly url: string;
  readonly poolSize: number;
  readonly connectMs: number;
  readonly statementMs: number;
  /** How long to wait for a server that is not there yet. */
  readonly waitMs: number;
}

/** Older servers lack functions that the queries use. */
const oldestServer = 15;

/**
 * A pool of connections to a PostgreSQL server that is there and lets us in.
 * @throws {DatabaseRefused}
 */
export async function openPostgresDatabase(settings: PostgresSettings, logger: Logger): Promise<Database> {
  const pool = makePool(settings, logger);
  try {
    await awaitServer(pool, settings, logger);
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    kind: 'postgres',
    sql: makeQueryBuilder(pool),
    session: (work) => runSession(pool, work),
    runScript: (script) =>
      runSession(pool, async (run) => {
        await run(script);
      }),
    close: () => pool.end(),
  };
}

function makePool({ url, poolSize, connectMs, statementMs }: PostgresSettings, logger: Logger): Pool {
  const pool = new Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: connectMs,
    idleTimeoutMillis: 60_000,
    application_name: 'vitrine',
    keepAlive: true,
    statement_timeout: statementMs,
    lock_timeout: statementMs,
    // Of a process that stopped in the middle of a transaction: its locks must not outlive it for hours.
    idle_in_transaction_session_timeout: 2 * statementMs,
    // A server that fell silent (a cable, a frozen machine) ends no statement: this side has to.
    query_timeout: statementMs + 2_000,
    types: typeParsers,
  });
  // Connections that the server closes, at rest or in use: without a listener each would end the process.
  pool.on('error', (error) =>
    logger.warn({ code: codeOf(error) }, `a connection to the database ended: ${error.message}`),
  );
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Waits for a server that starts at the same time as we do. */
async function awaitServer(pool: Pool, { waitMs }: PostgresSettings, logger: Logger): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (let tries = 0; ; tries++) {
    try {
      const { rows } = await pool.query<{ version: string }>(
        "SELECT current_setting('server_version_num') AS version",
      );
      return assertNewEnough(Number(rows[0]?.version));
    } catch (error) {
      if (!isConnectionLost(error)) throw refused(error);
      if (performance.now() >= deadline) throw refused(error, waitMs);
      if (tries === 0)
        logger.warn({ code: codeOf(error) }, 'the database server does not answer yet; waiting for it');
      await sleep(500);
    }
  }
}

function assertNewEnough(version: number): void {
  const major = Math.floor(version / 10_000);
  if (major >= oldestServer) return;
  throw new DatabaseRefused(
    `The database server is PostgreSQL ${major}; ${oldestServer} or newer is needed.`,
  );
}

const remedies: Readonly<Record<string, string>> = {
  '28P01': 'Check user and password in DATABASE_URL.',
  '28000': 'Check user and TLS in DATABASE_URL, and what the server allows.',
  '3D000': 'Create the database, or name another one in DATABASE_URL.',
};

function refused(error: unknown, waitedMs?: number): DatabaseRefused {
  if (error instanceof DatabaseRefused) return error;
  const why = error instanceof Error && error.message ? error.message : codeOf(error) || 'unknown reason';
  const waited = !waitedMs ? '' : ` after ${waitedMs / 1000} s (DATABASE_WAIT_SECONDS)`;
  const remedy = remedies[codeOf(error)] ?? 'Is DATABASE_URL right, and does the server run?';
  return new DatabaseRefused(`The database server cannot be used${waited}: ${why}. ${remedy}`, {
    cause: error,
  });
}
