import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';
import { openPostgresDatabase } from '../../../src/db/engine/postgres.ts';
import { services } from '../services.ts';
import { keepingLogger } from './logger.ts';
import { onServer, runDatabasePrefix } from './run-databases.ts';
import { timeScale } from '../time-scale.ts';
import { templateName } from './template-name.ts';

/** Held while the template is built. Any number that no lock of the product has. */
const templateLock = 7_239_100;

/** Address of a database on the test server. */
export function urlOfDatabase(name: string): string {
  const url = new URL(services.databaseUrl ?? 'postgres://localhost');
  url.pathname = `/${name}`;
  return url.href;
}

export { onServer } from './run-databases.ts';

export const testSettings = {
  poolSize: 8,
  connectMs: 10_000,
  statementMs: 20_000 * timeScale,
  waitMs: 10_000,
};

/** Opens a database of the test server. */
export function openServerDatabase(name: string): Promise<Database> {
  return openPostgresDatabase({ ...testSettings, url: urlOfDatabase(name) }, keepingLogger());
}

/** A new database: with the newest schema, or empty. `remove` it when done. */
export async function createServerDatabase(
  isMigrated: boolean,
): Promise<{ readonly name: string; readonly remove: () => Promise<void> }> {
  const name = `vitrine_test_${randomBytes(6).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name}${isMigrated ? ` TEMPLATE ${await template()}` : ''}`);
  return {
    name,
    remove: async () => {
      await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/**
 * Creates and opens the database that all test files of this worker share. The teardown of the run removes it.
 */
export async function openWorkerServerDatabase(): Promise<Database> {
  const name = `${runDatabasePrefix()}${process.pid}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${await template()}`);
  return openServerDatabase(name);
}

/** A database for one test file. Call it while the file is collected. */
export async function fileServerDatabase(isMigrated = true): Promise<{ name: string; database: Database }> {
  const { name, remove } = await createServerDatabase(isMigrated);
  const database = await openServerDatabase(name);
  afterAll(async () => {
    await database.close();
    await remove();
  });
  return { name, database };
}

/** A database for one test. */
export async function testServerDatabase(isMigrated = true): Promise<{ name: string; database: Database }> {
  const { name, remove } = await createServerDatabase(isMigrated);
  const database = await openServerDatabase(name);
  onTestFinished(async () => {
    await database.close();
    await remove();
  });
  return { name, database };
}

/** Name of a migrated database without connections. Building one takes a while, so it is kept between runs. */
async function template(): Promise<string> {
  const name = (await templateName()).replaceAll('-', '_');
  const client = new Client({ connectionString: services.databaseUrl });
  await client.connect();
  try {
    await client.query(`SELECT pg_advisory_lock(${templateLock})`);
    const { rows } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [name]);
    if (rows.length === 0) await makeTemplate(client, name);
    return name;
  } finally {
    await client.end();
  }
}

async function makeTemplate(client: Client, name: string): Promise<void> {
  const building = `${name}_building`;
  await client.query(`DROP DATABASE IF EXISTS ${building} WITH (FORCE)`);
  await client.query(`CREATE DATABASE ${building}`);
  const database = await openServerDatabase(building);
  await migrate(database);
  await database.close();
  await client.query(`ALTER DATABASE ${building} RENAME TO ${name}`);
}
