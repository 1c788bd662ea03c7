import { readdir, readFile } from 'node:fs/promises';
import type { Database, RunScript } from '../database.ts';
import { errorCode, DatabaseRefused } from './database-errors.ts';
import { enableVectors, type VectorSupport } from './vectors.ts';

const folder = new URL('../migrations/', import.meta.url);

/** Key of an advisory lock; no other lock uses it. */
const migrationLock = 7_239_002;

/** Result of `migrate`: the schema version, and the names of the migrations that this call applied. */
export interface MigrationReport {
  readonly version: number;
  readonly applied: readonly string[];
  readonly vectors: VectorSupport;
}

/**
 * Migrates the schema to the newest version in one transaction: if the process is killed, the schema does not change. If
 * several processes start concurrently, one migrates and the others wait.
 * @throws {DatabaseRefused} if the schema is newer than this program, or the database user may not change it.
 */
export function migrate(database: Database): Promise<MigrationReport> {
  return database.session(async (run) => {
    // The timeouts are meant for requests: a migration, or waiting for another process to finish it, may take longer. The
    // lock belongs to the transaction, because session locks do not work behind a pooler in transaction mode.
    await run('BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
    await run(`SELECT pg_advisory_xact_lock(${migrationLock})`);
    const applied = await applyMissing(run).catch((error: unknown) => {
      throw errorCode(error) === '42501' ? insufficientPrivilege(error) : error;
    });
    const vectors = await enableVectors(run);
    await run('COMMIT');
    return { ...applied, vectors };
  });
}

function insufficientPrivilege(error: unknown): DatabaseRefused {
  const reason = error instanceof Error ? error.message : '';
  return new DatabaseRefused(
    `The database user is not allowed to create or change the tables (${reason}). Make this user the owner of the database and its tables, or grant it CREATE on the schema public.`,
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
      `The database has schema version ${current}, but this version of Vitrine only supports versions up to ${newest}. Install a newer version of Vitrine.`,
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

/** A database's schema version, compared with the version that this program needs. */
export interface SchemaState {
  /** Schema version of the database; 0 if it has no schema yet. */
  readonly version: number;
  /** Schema version that this program needs. */
  readonly needed: number;
  /** Whether the database user may create missing tables and change existing ones. */
  readonly mayChange: boolean;
}

/** Reads the state of the schema without changing it. */
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
