import { readdir, readFile } from 'node:fs/promises';
import { codeOf, DatabaseRefused } from './database-errors.ts';
import type { Database, RunScript } from '../database.ts';
import { enableVectors, type VectorSupport } from './vectors.ts';

const folder = new URL('../migrations/', import.meta.url);

/** Any number that no other lock has: whoever changes the schema holds it. */
const migrationLock = 7_239_002;

/** Outcome of a migration: the schema's version now, and what was applied this time. */
export interface MigrationReport {
  readonly version: number;
  readonly applied: readonly string[];
  readonly vectors: VectorSupport;
}

/**
 * Brings the schema to the newest version, in one transaction: a kill in between leaves the version before it. Of several
 * processes that start at once, one does it and the others wait.
 * @throws {DatabaseRefused} when the database is newer than this program: an older program would not know its rules.
 */
export function migrate(database: Database): Promise<MigrationReport> {
  return database.session(async (run) => {
    // The lock goes with the transaction, so that it also works behind a pooler that lends connections by transaction. A
    // long migration, or the wait for another process, is no runaway statement.
    await run('BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0');
    await run(`SELECT pg_advisory_xact_lock(${migrationLock})`);
    const applied = await applyMissing(run).catch((error: unknown) => {
      throw codeOf(error) === '42501' ? mayNotMigrate(error) : error;
    });
    const vectors = await enableVectors(run);
    await run('COMMIT');
    return { ...applied, vectors };
  });
}

function mayNotMigrate(error: unknown): DatabaseRefused {
  const why = error instanceof Error ? error.message : '';
  return new DatabaseRefused(
    `The user of the database may not make or change its tables (${why}). Make it the owner of the database and of the tables, or grant it CREATE on the schema public.`,
    { cause: error },
  );
}

async function applyMissing(run: RunScript): Promise<Omit<MigrationReport, 'vectors'>> {
  const current = await currentVersion(run);
  const files = await migrationFiles();
  const newest = await newestVersion();
  if (current > newest) {
    throw new DatabaseRefused(
      `The database has schema version ${current}; this Vitrine knows ${newest}. Install a newer Vitrine.`,
    );
  }
  const applied = files.filter((name) => versionOf(name) > current);
  for (const name of applied) await apply(run, name);
  return { version: newest, applied };
}

/** The version of the schema that this program brings. */
export async function newestVersion(): Promise<number> {
  return Math.max(...(await migrationFiles()).map(versionOf));
}

async function migrationFiles(): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
}

async function currentVersion(run: RunScript): Promise<number> {
  await run(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const [row] = await run('SELECT coalesce(max(version), 0) AS version FROM schema_migrations');
  return Number(row?.['version']);
}

async function apply(run: RunScript, name: string): Promise<void> {
  await run(await readFile(new URL(name, folder), 'utf8'));
  await run(`INSERT INTO schema_migrations (version, name) VALUES (${versionOf(name)}, '${name}')`);
}

function versionOf(name: string): number {
  return Number(/^\d{4}/.exec(name)?.[0]);
}
