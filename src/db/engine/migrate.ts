import { readdir, readFile } from 'node:fs/promises';
import type { Database, RunScript } from '../database.ts';
import { codeOf, DatabaseRefused } from './database-errors.ts';
import { enableVectors, type VectorSupport } from './vectors.ts';

const folder = new URL('../migrations/', import.meta.url);

/** Key of an advisory lock; no other lock uses it. */
const migrationLock = 7_239_002;

/** Result of a migration: the version of the schema, and the migrations that were applied now. */
export interface MigrationReport {
  readonly version: number;
  readonly applied: readonly string[];
  readonly vectors: VectorSupport;
}

/**
 * Migrates the schema to the newest version in one transaction: if the process is killed, the previous version
 * remains. If several processes start concurrently, one migrates and the others wait.
 * @throws {DatabaseRefused} if the database is newer than this program, or the user may not change the schema.
 */
export function migrate(database: Database): Promise<MigrationReport> {
  return database.session(async (run) => {
    // A lock of the transaction also works behind a pooler in transaction mode. The timeouts are for requests, and a
    // migration, or the wait for another process to finish it, may take longer.
    await run('BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
    await run(`SELECT pg_advisory_xact_lock(${migrationLock})`);
    const applied = await applyMissing(run).catch((error: unknown) => {
      throw codeOf(error) === '42501' ? insufficientPrivilege(error) : error;
    });
    const vectors = await enableVectors(run);
    await run('COMMIT');
    return { ...applied, vectors };
  });
}

function insufficientPrivilege(error: unknown): DatabaseRefused {
  const reason = error instanceof Error ? error.message : '';
  return new DatabaseRefused(
    `The database user is not allowed to create or change the tables (${reason}). Make the user the owner of the database and of its tables, or grant it CREATE on the schema public.`,
    { cause: error },
  );
}

async function applyMissing(run: RunScript): Promise<Omit<MigrationReport, 'vectors'>> {
  await run(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const current = await readVersion(run);
  const files = await migrationFiles();
  const newest = newestOf(files);
  if (current > newest) {
    throw new DatabaseRefused(
      `The database has schema version ${current}; this Vitrine supports up to ${newest}. Install a newer Vitrine.`,
    );
  }
  const missing = files.filter((name) => versionOf(name) > current);
  for (const name of missing) {
    await run(await readFile(new URL(name, folder), 'utf8'));
    await run(`INSERT INTO schema_migrations (version, name) VALUES (${versionOf(name)}, '${name}')`);
  }
  return { version: newest, applied: missing };
}

async function readVersion(run: RunScript): Promise<number> {
  const [row] = await run('SELECT coalesce(max(version), 0) AS version FROM schema_migrations');
  return Number(row?.['version']);
}

async function migrationFiles(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
}

function newestOf(files: readonly string[]): number {
  return Math.max(...files.map(versionOf));
}

function versionOf(file: string): number {
  return Number(/^\d{4}/.exec(file)?.[0]);
}

/** The schema of a database, compared with the one that this program needs. */
export interface SchemaState {
  /** Version of the schema; 0 if there is none yet. */
  readonly version: number;
  /** The version that this program needs. */
  readonly needed: number;
  /** Whether the user may create the missing tables and change the existing ones. */
  readonly mayChange: boolean;
}

/** Reads the state of the schema and changes nothing. */
export function readSchemaState(database: Pick<Database, 'session'>): Promise<SchemaState> {
  return database.session(async (run) => {
    const [rights] = await run(`
      SELECT to_regclass('schema_migrations') IS NOT NULL AS exists,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND NOT EXISTS (
          SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('images', 'jobs', 'schema_migrations')
            AND NOT pg_has_role(tableowner, 'MEMBER')) AS "mayChange"`);
    return {
      version: rights?.['exists'] ? await readVersion(run) : 0,
      needed: newestOf(await migrationFiles()),
      mayChange: rights?.['mayChange'] === true,
    };
  });
}
