import { isAtLeast } from '../../model/versions.ts';
import type { RunScript } from '../database.ts';
import { codeOf } from './database-errors.ts';

/** Oldest version of pgvector with the type `halfvec`. */
const minVersion = '0.7.0';

/** Whether the database can store embeddings. `reason` says why not, and how to fix it. */
export type VectorSupport =
  | { readonly isAvailable: true }
  | { readonly isAvailable: false; readonly reason: string };

const createTable = `
  CREATE TABLE IF NOT EXISTS embeddings (
    tenant_id integer NOT NULL REFERENCES tenants (id),
    content_hash text NOT NULL,
    -- Version of the embedding. Vectors of different spaces are never compared.
    space text NOT NULL,
    vector halfvec NOT NULL,
    -- The content before the space: a purge deletes the vectors of a content in all spaces.
    PRIMARY KEY (tenant_id, content_hash, space)
  )`;

/**
 * Installs pgvector if needed, and creates the table of embeddings, in the caller's transaction. Not a migration:
 * pgvector may be installed or updated long after the schema was migrated.
 */
export async function enableVectors(run: RunScript): Promise<VectorSupport> {
  const installed = (await installedVersion(run)) ?? (await install(run));
  if (typeof installed !== 'string') return { isAvailable: false, reason: installed.reason };
  if (!isAtLeast(installed, minVersion))
    return {
      isAvailable: false,
      reason: `pgvector ${installed} is too old, ${minVersion.slice(0, 3)} is needed: install a newer one and run ALTER EXTENSION vector UPDATE`,
    };
  await run(createTable);
  return { isAvailable: true };
}

async function installedVersion(run: RunScript): Promise<string | undefined> {
  const [row] = await run("SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'");
  return row && String(row['version']);
}

/** Creates the extension, within a savepoint: a failure must not abort the surrounding transaction. */
async function install(run: RunScript): Promise<string | { readonly reason: string }> {
  await run('SAVEPOINT before_vector');
  try {
    await run('CREATE EXTENSION vector');
  } catch (error) {
    await run('ROLLBACK TO before_vector');
    return { reason: reasonOf(error) };
  }
  return (await installedVersion(run)) ?? { reason: 'pgvector is missing although it was just created' };
}

const notInstalledStates = new Set(['0A000', '58P01']);

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (notInstalledStates.has(code))
    return 'pgvector is not installed on the server: install its package for this version of PostgreSQL';
  if (code === '42501')
    return 'the database user may not create the extension: let an administrator run CREATE EXTENSION vector in this database';
  return `pgvector could not be created: ${error instanceof Error ? error.message : String(error)}`;
}
