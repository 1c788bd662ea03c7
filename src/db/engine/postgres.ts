import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'pg';
import type { Logger } from '../../model/logger.ts';
import type { Database } from '../database.ts';
import { errorCode, DatabaseUnusable, isConnectionLost } from './database-errors.ts';
import { makeBindingDetector, makeQueryBuilder, runSession, typeParsers } from './pool.ts';

/** Connection settings for a PostgreSQL server. */
export interface PostgresSettings {
  /** Contains the password, so it must not appear in logs or error messages. */
  readonly url: string;
  readonly poolSize: number;
  /** Timeout for opening a connection. */
  readonly connectMs: number;
  /** Timeout for executing a statement, and for waiting for a lock. */
  readonly statementMs: number;
  /** How long startup waits for the server to become available. */
  readonly waitMs: number;
}

/** Minimum major version. Older servers lack functions that the queries use. */
const minServerVersion = 15;

/**
 * Opens a pool of connections to a PostgreSQL server.
 * @throws {DatabaseUnusable} if the server cannot be used.
 */
export async function openPostgresDatabase(settings: PostgresSettings, logger: Logger): Promise<Database> {
  const pool = makePool(settings, logger);
  try {
    await awaitServer(pool, settings, logger);
  } catch (error) {
    await pool.end();
    throw error;
  }
  const detectTenantBinding = makeBindingDetector(pool);
  return {
    kind: 'postgres',
    sql: makeQueryBuilder(pool, detectTenantBinding),
    detectTenantBinding,
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
    // Makes the server release the locks of a process that was suspended during a transaction.
    idle_in_transaction_session_timeout: 2 * statementMs,
    // A server that has stopped responding (network failure, frozen machine) cannot enforce `statement_timeout`.
    query_timeout: statementMs + 2_000,
    types: typeParsers,
  });
  // Without these listeners, the process would exit when the server closes an idle or checked-out connection.
  pool.on('error', (error) =>
    logger.warn({ code: errorCode(error) }, `a connection to the database was closed: ${error.message}`),
  );
  pool.on('connect', (client) => client.on('error', () => undefined));
  return pool;
}

/** Waits for a server that may be starting at the same time as this process. */
async function awaitServer(pool: Pool, { waitMs }: PostgresSettings, logger: Logger): Promise<void> {
  const deadline = performance.now() + waitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      const { rows } = await pool.query<{ version: string }>(
        "SELECT current_setting('server_version_num') AS version",
      );
      return assertVersion(Number(rows[0]?.version));
    } catch (error) {
      if (!isConnectionLost(error)) throw toDatabaseUnusable(error);
      if (performance.now() >= deadline) throw toDatabaseUnusable(error, waitMs);
      if (attempt === 1)
        logger.warn(
          { code: errorCode(error) },
          'the database server does not respond yet; waiting for it to start',
        );
      await sleep(500);
    }
  }
}

function assertVersion(version: number): void {
  const major = Math.floor(version / 10_000);
  if (major >= minServerVersion) return;
  throw new DatabaseUnusable(
    `The database server runs PostgreSQL ${major}, but version ${minServerVersion} or later is required.`,
  );
}

const remedies: Readonly<Record<string, string>> = {
  '28P01': 'Check the user and the password in DATABASE_URL.',
  '28000': "Check the user and the TLS mode in DATABASE_URL, and the server's access rules.",
  '3D000': 'Create the database, or set DATABASE_URL to an existing database.',
};

function toDatabaseUnusable(error: unknown, waitedMs?: number): DatabaseUnusable {
  if (error instanceof DatabaseUnusable) return error;
  const reason =
    error instanceof Error && error.message ? error.message : errorCode(error) || 'unknown reason';
  const summary = waitedMs
    ? `did not become available within ${waitedMs / 1000} s (DATABASE_WAIT_SECONDS)`
    : 'cannot be used';
  const remedy = remedies[errorCode(error)] ?? 'Check DATABASE_URL, and check that the server is running.';
  return new DatabaseUnusable(`The database server ${summary}: ${reason}. ${remedy}`, {
    cause: error,
  });
}
