import { Client } from 'pg';
import { services } from '../services.ts';

/** Runs statements on the test server as its administrator. Returns the rows of the last statement. */
export async function runOnServer<Row>(...statements: string[]): Promise<Row[]> {
  const client = new Client({ connectionString: services.databaseUrl });
  await client.connect();
  try {
    let rows: Row[] = [];
    for (const statement of statements)
      ({ rows } = (await client.query(statement)) as unknown as { rows: Row[] });
    return rows;
  } finally {
    await client.end();
  }
}

/** Returns the name prefix of a test run's databases. Each Vitest worker has a database, which its test files share. */
export function runDatabasePrefix(runId = process.env['TEST_RUN_ID'] ?? 'unknown'): string {
  return `vitrine_test_run_${runId}_`;
}

/** Drops the shared databases of a test run. */
export async function removeRunDatabases(runId: string): Promise<void> {
  if (!services.databaseUrl) return;
  const rows = await runOnServer<{ name: string }>(
    `SELECT datname AS name FROM pg_database WHERE starts_with(datname, '${runDatabasePrefix(runId)}')`,
  );
  await runOnServer(...rows.map(({ name }) => `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
}
