import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { loadConfig } from '../src/config.ts';
import { openDatabase } from '../src/app/open-back-ends.ts';
import type { Database } from '../src/db/database.ts';
import { migrate } from '../src/db/engine/migrate.ts';

/** A data folder and a database for a benchmark. */
export interface BackEnd {
  /** Environment variables for a server that uses the data folder and the database. */
  readonly environment: Readonly<Record<string, string>>;
  /**
   * Opens and migrates the database. Close it before starting a server: an embedded database allows only one process.
   */
  readonly open: () => Promise<Database>;
  readonly remove: () => Promise<void>;
}

/** URL of the PostgreSQL server, from `BENCH_DATABASE_URL`; `undefined` for the embedded database. */
export const benchDatabaseUrl = process.env['BENCH_DATABASE_URL'];

/** Creates a data folder and, if `BENCH_DATABASE_URL` is set, a database on that PostgreSQL server. */
export async function makeBackEnd(): Promise<BackEnd> {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-bench-'));
  const database = benchDatabaseUrl === undefined ? undefined : await createDatabase(benchDatabaseUrl);
  const environment = { DATA_DIR: folder, ...(database && { DATABASE_URL: database.url }) };
  return {
    environment,
    async open() {
      const migratedDatabase = await openDatabase(loadConfig(environment), silentLogger, () =>
        process.exit(1),
      );
      await migrate(migratedDatabase);
      return migratedDatabase;
    },
    async remove() {
      await database?.drop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const discard = () => undefined;
const silentLogger = { debug: discard, info: discard, warn: discard, error: discard };

async function createDatabase(serverUrl: string): Promise<{ url: string; drop: () => Promise<void> }> {
  const name = `vitrine_bench_${randomBytes(6).toString('hex')}`;
  await executeStatement(serverUrl, `CREATE DATABASE ${name}`);
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => executeStatement(serverUrl, `DROP DATABASE ${name} WITH (FORCE)`) };
}

async function executeStatement(serverUrl: string, statement: string): Promise<void> {
  const client = new Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
