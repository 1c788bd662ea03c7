import { readdir, readFile } from 'node:fs/promises';
import type { Database, RunScript } from '../database.ts';
import { errorCode, DatabaseUnusable } from './database-errors.ts';
import { detectTenantBinding } from './tenant-binding.ts';
import { prepareTenantRole } from './tenant-role.ts';
import { enableVectors, type VectorSupport } from './vectors.ts';

const migrationsFolder = new URL('../migrations/', import.meta.url);

/** Key of the advisory lock that `migrate` takes. No other lock uses this key. */
const migrationLockKey = 7_239_002;

/** Result of `migrate`. */
export interface MigrationReport {
  /** The schema version after the migration. */
  readonly version: number;
  /** Names of the migrations that were applied. */
  readonly applied: readonly string[];
  readonly vectors: VectorSupport;
}

/**
 * Migrates the schema to the newest version in one transaction. If the process is killed, the schema remains unchanged.
 * If several processes start concurrently, one migrates and the others wait.
 * @throws {DatabaseUnusable} if the schema is newer than this program supports, or if the database user is not allowed to
 *   change it.
 */
export function migrate(database: Database): Promise<MigrationReport> {
  return database.session(async (run) => {
    // The usual timeouts are meant for requests. A migration may take longer, or may have to wait for another process. The
    // lock belongs to the transaction, because session locks do not work behind a pooler in transaction mode.
    await run('BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
    await run(`SELECT pg_advisory_xact_lock(${migrationLockKey})`);
    const applied = await applyMissing(run).catch((error: unknown) => {
      throw errorCode(error) === '42501' ? insufficientPrivilege(error) : error;
    });
    const vectors = await enableVectors(run);
    if ((await detectTenantBinding(run)).by === 'none') await prepareTenantRole(run);
    await run('COMMIT');
    return { ...applied, vectors };
  });
}

function insufficientPrivilege(error: unknown): DatabaseUnusable {
  const reason = error instanceof Error ? error.message : '';
  return new DatabaseUnusable(
    `The database user is not allowed to create or change the tables (${reason}). Make this user the owner of the database and its tables, or grant it CREATE on the public schema.`,
    { cause: error },
  );
}

async function applyMissing(run: RunScript): Promise<Omit<MigrationReport, 'vectors'>> {
  await run(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const currentVersion = await readVersion(run);
  const files = await listMigrationFiles();
  const neededVersion = newestVersion(files);
  if (currentVersion > neededVersion) {
    throw new DatabaseUnusable(
      `The database has schema version ${currentVersion}, but this version of Vitrine only supports versions up to ${neededVersion}. Install a newer version of Vitrine.`,
    );
  }
  const missingFiles = files.filter((name) => parseVersion(name) > currentVersion);
  for (const name of missingFiles) {
    await run(await readFile(new URL(name, migrationsFolder), 'utf8'));
    await run(`INSERT INTO schema_migrations (version, name) VALUES (${parseVersion(name)}, '${name}')`);
  }
  return { version: neededVersion, applied: missingFiles };
}

async function readVersion(run: RunScript): Promise<number> {
  const [row] = await run('SELECT coalesce(max(version), 0) AS version FROM schema_migrations');
  return Number(row?.['version']);
}

async function listMigrationFiles(): Promise<string[]> {
  return (await readdir(migrationsFolder)).filter((name) => name.endsWith('.sql')).toSorted();
}

function newestVersion(files: readonly string[]): number {
  return Math.max(...files.map(parseVersion));
}

function parseVersion(file: string): number {
  return Number(/^\d{4}/.exec(file)?.[0]);
}

/** A database's schema version, compared with the version that this program needs. */
export interface SchemaState {
  /** The database's schema version, or 0 if it has no schema yet. */
  readonly version: number;
  /** The schema version that this program needs. */
  readonly neededVersion: number;
  /** Whether the database user may create missing tables and change existing tables. */
  readonly canMigrate: boolean;
}

/** Reads the schema state without changing the schema. */
export function readSchemaState(database: Pick<Database, 'session'>): Promise<SchemaState> {
  return database.session(async (run) => {
    const [row] = await run(`
      SELECT to_regclass('schema_migrations') IS NOT NULL AS exists,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND NOT EXISTS (
          SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('images', 'jobs', 'schema_migrations')
            AND NOT pg_has_role(tableowner, 'MEMBER')) AS "canMigrate"`);
    return {
      version: row?.['exists'] ? await readVersion(run) : 0,
      neededVersion: newestVersion(await listMigrationFiles()),
      canMigrate: row?.['canMigrate'] === true,
    };
  });
}
