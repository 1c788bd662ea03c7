import { isAtLeast } from '../version.ts';
import { codeOf } from './database-errors.ts';
import type { RunScript } from './database.ts';

/** pgvector with the type `halfvec`. */
const versionFloor = '0.7.0';

/** Whether the database can keep descriptors; `reason` says why it cannot, and what to do. */
export type VectorSupport =
  | { readonly isAvailable: true }
  | { readonly isAvailable: false; readonly reason: string };

const table = `
  CREATE TABLE IF NOT EXISTS embeddings (
    tenant_id integer NOT NULL REFERENCES tenants (id),
    content_hash text NOT NULL,
    -- Version of the descriptor: vectors of different spaces are never compared.
    space text NOT NULL,
    vector halfvec NOT NULL,
    -- The content before the space: a content that goes takes the vectors of all spaces with it.
    PRIMARY KEY (tenant_id, content_hash, space)
  )`;

/**
 * Makes pgvector and the table of descriptors ready, within the caller's transaction. Not a migration: pgvector may be
 * installed, or become newer, long after the schema was made.
 */
export async function enableVectors(run: RunScript): Promise<VectorSupport> {
  const installed = (await installedVersion(run)) ?? (await install(run));
  if (typeof installed !== 'string') return { isAvailable: false, reason: installed.reason };
  if (!isAtLeast(installed, versionFloor))
    return {
      isAvailable: false,
      reason: `pgvector ${installed} is too old, ${versionFloor.slice(0, 3)} is needed: install a newer one and run ALTER EXTENSION vector UPDATE`,
    };
  await run(table);
  return { isAvailable: true };
}

async function installedVersion(run: RunScript): Promise<string | undefined> {
  const [row] = await run("SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'");
  return row && String(row['version']);
}

/** A failure must not end the transaction around it. */
async function install(run: RunScript): Promise<string | { readonly reason: string }> {
  await run('SAVEPOINT before_vector');
  try {
    await run('CREATE EXTENSION vector');
  } catch (error) {
    await run('ROLLBACK TO before_vector');
    return { reason: reasonOf(error) };
  }
  return (await installedVersion(run)) ?? { reason: 'pgvector was installed and is not there' };
}

const notInstalled = new Set(['0A000', '58P01']);

function reasonOf(error: unknown): string {
  const code = codeOf(error);
  if (notInstalled.has(code))
    return 'pgvector is not installed on the server: install its package for this version of PostgreSQL';
  if (code === '42501')
    return 'the user of the database may not create the extension: let an administrator run CREATE EXTENSION vector in this database';
  return `pgvector could not be created: ${error instanceof Error ? error.message : String(error)}`;
}
