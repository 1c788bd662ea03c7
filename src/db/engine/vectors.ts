import { isAtLeast } from '../../version.ts';
import type { RunScript } from '../database.ts';
import { errorCode } from './database-errors.ts';

/** The first version of pgvector with the type `halfvec`. */
const minVersion = '0.7.0';

/** Whether the database can store embeddings. `reason` explains why it cannot and how to fix the problem. */
export type VectorSupport =
  | { readonly isAvailable: true }
  | { readonly isAvailable: false; readonly reason: string };

const createTableStatement = `
  CREATE TABLE IF NOT EXISTS embeddings (
    tenant_id integer NOT NULL REFERENCES tenants (id),
    content_hash text NOT NULL,
    -- Name of the embedding space. Vectors in different spaces are never compared.
    space text NOT NULL,
    vector halfvec NOT NULL,
    -- content_hash precedes space, because a purge deletes the vectors with a given hash in all spaces.
    PRIMARY KEY (tenant_id, content_hash, space)
  )`;

const isolateTenantsStatement = `
  SELECT isolate_tenants(oid, 'tenant_id') FROM pg_class WHERE oid = 'embeddings'::regclass AND NOT relrowsecurity`;

/**
 * Installs pgvector and creates the embeddings table if they are missing. Uses the caller's transaction. This is not a
 * migration, because pgvector may be installed or updated long after the schema was migrated.
 */
export async function enableVectors(run: RunScript): Promise<VectorSupport> {
  const version = (await readInstalledVersion(run)) ?? (await install(run));
  if (typeof version !== 'string') return { isAvailable: false, reason: version.reason };
  if (!isAtLeast(version, minVersion))
    return {
      isAvailable: false,
      reason: `pgvector ${version} is too old: install version ${minVersion.slice(0, 3)} or later and run ALTER EXTENSION vector UPDATE`,
    };
  await run(createTableStatement);
  await run(isolateTenantsStatement);
  return { isAvailable: true };
}

async function readInstalledVersion(run: RunScript): Promise<string | undefined> {
  const [row] = await run("SELECT extversion AS version FROM pg_extension WHERE extname = 'vector'");
  return row && String(row['version']);
}

/** Installs pgvector in a savepoint, so that a failure does not abort the transaction. Returns the installed version. */
async function install(run: RunScript): Promise<string | { readonly reason: string }> {
  await run('SAVEPOINT before_vector');
  try {
    await run('CREATE EXTENSION vector');
  } catch (error) {
    await run('ROLLBACK TO before_vector');
    return { reason: explainFailure(error) };
  }
  return (
    (await readInstalledVersion(run)) ?? { reason: 'pgvector is missing although CREATE EXTENSION succeeded' }
  );
}

const notInstalledStates = new Set(['0A000', '58P01']);

function explainFailure(error: unknown): string {
  const code = errorCode(error);
  if (notInstalledStates.has(code))
    return "pgvector is not installed on the server: install its package for the server's PostgreSQL version";
  if (code === '42501')
    return 'the database user is not allowed to create the extension: have an administrator run CREATE EXTENSION vector in this database';
  return `pgvector could not be created: ${error instanceof Error ? error.message : String(error)}`;
}
