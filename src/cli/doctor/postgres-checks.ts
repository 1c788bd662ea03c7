import { openDatabase } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import { readSchemaState, type SchemaState } from '../../db/engine/migrate.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeLogger } from '../../telemetry/logger.ts';
import { attempt, type Finding } from './finding.ts';
import { exitOnFailure } from '../stop-signals.ts';
import { checkOperation } from './operation-checks.ts';

const unreachable =
  'Correct DATABASE_URL; if it is right, see to the server: it has to run, and let this user in.';

/** Server, schema, rights and pgvector. Does not migrate: a look must not change what other processes work on. */
export async function checkPostgres(config: Config): Promise<Finding[]> {
  const quick = { ...config, database: { ...config.database, waitMs: 0 } };
  const opening = openDatabase(quick, await makeLogger({ ...config.log, level: 'silent' }), exitOnFailure);
  const database = await opening.catch(() => undefined);
  if (!database) return [await attempt('database', '', unreachable, () => opening)];
  try {
    const { version, pgvector } = await makeInstallationQueries(database).describe();
    const schema = await readSchemaState(database);
    return [
      { subject: 'database', state: `PostgreSQL ${version} answers` },
      describeSchema(schema),
      describeVectors(pgvector, schema),
      ...(schema.version === schema.needed ? await checkOperation(config, database) : []),
    ];
  } finally {
    await database.close();
  }
}

function describeSchema({ version, needed, mayChange }: SchemaState): Finding {
  const subject = 'schema';
  if (version === needed) return { subject, state: `version ${version}, as it has to be` };
  if (version > needed)
    return {
      subject,
      state: `version ${version}; this Vitrine knows ${needed}`,
      remedy: 'Install a newer Vitrine.',
    };
  const state = `${version === 0 ? 'none yet' : `version ${version}`}; the next start brings it to version ${needed}`;
  if (mayChange) return { subject, state };
  return {
    subject,
    state: `${state}, which this user may not do`,
    remedy:
      'Make the user of DATABASE_URL the owner of the database and of its tables, or run vitrine migrate as one who is.',
  };
}

function describeVectors(version: string | null, schema: SchemaState): Finding {
  const subject = 'pgvector';
  if (version !== null) return { subject, state: `version ${version}` };
  if (schema.version === 0) return { subject, state: 'not created yet; the first start does, if it may' };
  return {
    subject,
    state: 'not installed: similar images cannot be searched',
    remedy: 'Let an administrator run CREATE EXTENSION vector in this database, and start again.',
  };
}
