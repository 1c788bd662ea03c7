import type { Database } from '../database.ts';
import { newestVersion } from './migrate.ts';

/** How a database's schema stands to the one that this program needs. */
export interface SchemaState {
  /** Version of the schema; 0 when there is none yet. */
  readonly version: number;
  /** The version that this program needs. */
  readonly needed: number;
  /** Whether the user of the connection may make what is missing: create tables, and change those that are there. */
  readonly mayChange: boolean;
}

/** Looks at the schema and changes nothing. */
export async function readSchemaState(database: Pick<Database, 'session'>): Promise<SchemaState> {
  return database.session(async (run) => {
    const [rights] = await run(`
      SELECT to_regclass('schema_migrations') IS NOT NULL AS exists,
        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AND NOT EXISTS (
          SELECT 1 FROM pg_tables WHERE schemaname = current_schema() AND tablename IN ('images', 'jobs', 'schema_migrations')
            AND NOT pg_has_role(tableowner, 'MEMBER')) AS "mayChange"`);
    const [row] = rights?.['exists']
      ? await run('SELECT coalesce(max(version), 0) AS version FROM schema_migrations')
      : [];
    return {
      version: Number(row?.['version'] ?? 0),
      needed: await newestVersion(),
      mayChange: rights?.['mayChange'] === true,
    };
  });
}
