import { readdir, readFile } from 'node:fs/promises';
import { sql } from 'kysely';
import type { Database } from './database.ts';

const folder = new URL('./migrations/', import.meta.url);

/** Outcome of a migration: the schema's version now, and what was applied this time. */
export interface MigrationReport {
  readonly version: number;
  readonly applied: readonly string[];
}

/**
 * Brings the schema to the newest version. Each migration is one transaction together with its entry in
 * `schema_migrations`, so a kill in between leaves the version before it.
 * @throws when the database is newer than this program: an older program would not know its rules.
 */
export async function migrate(database: Database): Promise<MigrationReport> {
  const current = await currentVersion(database);
  const files = (await readdir(folder)).filter((name) => name.endsWith('.sql')).toSorted();
  const newest = Math.max(...files.map(versionOf));
  if (current > newest) {
    throw new Error(
      `The database has schema version ${current}; this Vitrine knows ${newest}. Install a newer Vitrine.`,
    );
  }
  const applied = files.filter((name) => versionOf(name) > current);
  for (const name of applied) await apply(database, name);
  return { version: newest, applied };
}

async function currentVersion(database: Database): Promise<number> {
  await database.runScript(
    'CREATE TABLE IF NOT EXISTS schema_migrations (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())',
  );
  const { rows } = await sql<{
    version: number | null;
  }>`SELECT max(version) AS version FROM schema_migrations`.execute(database.sql);
  return rows[0]?.version ?? 0;
}

async function apply(database: Database, name: string): Promise<void> {
  const statements = await readFile(new URL(name, folder), 'utf8');
  const entry = `INSERT INTO schema_migrations (version, name) VALUES (${versionOf(name)}, '${name}')`;
  await database.runScript(`BEGIN;\n${statements};\n${entry};\nCOMMIT;`);
}

function versionOf(name: string): number {
  return Number(/^\d{4}/.exec(name)?.[0]);
}
