import { randomBytes } from 'node:crypto';
import { Client } from 'pg';
import { afterAll, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { migrate } from '../../../src/db/engine/migrate.ts';
import { openPostgresDatabase } from '../../../src/db/engine/postgres.ts';
import { services } from '../services.ts';
import { makeRecordingLogger } from './logger.ts';
import { runOnServer, runDatabasePrefix } from './run-databases.ts';
import { timeScale } from '../time-scale.ts';
import { templateName } from './template-name.ts';

/** Number of the advisory lock for building the template database. Vitrine itself does not use it. */
const templateLock = 7_239_100;

/** Returns the URL of a database on the test server. */
export function serverDatabaseUrl(name: string): string {
  const url = new URL(services.databaseUrl ?? 'postgres://localhost');
  url.pathname = `/${name}`;
  return url.href;
}

export { runOnServer } from './run-databases.ts';

/** Connection settings for the test server. */
export const testSettings = {
  poolSize: 8,
  connectMs: 10_000,
  statementMs: 20_000 * timeScale,
  waitMs: 10_000,
};

/** Opens a database on the test server. */
export function openServerDatabase(name: string): Promise<Database> {
  return openPostgresDatabase({ ...testSettings, url: serverDatabaseUrl(name) }, makeRecordingLogger());
}

/** Creates a database that is empty or has the current schema. The caller must call `remove`. */
export async function createServerDatabase(
  isMigrated: boolean,
): Promise<{ readonly name: string; readonly remove: () => Promise<void> }> {
  const name = `vitrine_test_${randomBytes(6).toString('hex')}`;
  await runOnServer(`CREATE DATABASE ${name}${isMigrated ? ` TEMPLATE ${await ensureTemplate()}` : ''}`);
  return {
    name,
    remove: async () => {
      await runOnServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

/** A database that an ordinary user owns, as docs/database.md describes it. */
export interface OwnedDatabase {
  readonly url: string;
  /** Drops the database and the user. */
  readonly remove: () => Promise<void>;
}

/**
 * Creates an empty database with a user that owns it.
 * @param attributes further attributes of the user, such as `BYPASSRLS`
 */
export async function createOwnedDatabase(attributes = ''): Promise<OwnedDatabase> {
  const user = `vitrine_test_owner_${randomBytes(6).toString('hex')}`;
  const { name, remove } = await createServerDatabase(false);
  await runOnServer(`CREATE ROLE ${user} LOGIN ${attributes}`, `ALTER DATABASE ${name} OWNER TO ${user}`);
  const administrator = new Client({ connectionString: serverDatabaseUrl(name) });
  await administrator.connect();
  await administrator.query('CREATE EXTENSION vector');
  await administrator.end();
  const url = new URL(serverDatabaseUrl(name));
  url.username = user;
  return {
    url: url.href,
    remove: async () => {
      await remove();
      await runOnServer(`DROP ROLE ${user}`);
    },
  };
}

/** Opens and migrates a database that an ordinary user owns, for one test file. */
export async function openOwnedDatabase(attributes?: string): Promise<{ url: string; database: Database }> {
  const { url, remove } = await createOwnedDatabase(attributes);
  const database = await openPostgresDatabase({ ...testSettings, url }, makeRecordingLogger());
  await migrate(database);
  afterAll(async () => {
    await database.close();
    await remove();
  });
  return { url, database };
}

/**
 * Creates and opens the database that all test files of this Vitest worker share. The teardown of the test run drops
 * it.
 */
export async function openWorkerServerDatabase(): Promise<Database> {
  const name = `${runDatabasePrefix()}${process.pid}`;
  await runOnServer(`CREATE DATABASE ${name} TEMPLATE ${await ensureTemplate()}`);
  return openServerDatabase(name);
}

/** Opens a new database for one test file. Call this function during test collection. */
export async function openFileServerDatabase(
  isMigrated = true,
): Promise<{ name: string; database: Database }> {
  const { name, remove } = await createServerDatabase(isMigrated);
  const database = await openServerDatabase(name);
  afterAll(async () => {
    await database.close();
    await remove();
  });
  return { name, database };
}

/** Opens a new database for one test. */
export async function openTestServerDatabase(
  isMigrated = true,
): Promise<{ name: string; database: Database }> {
  const { name, remove } = await createServerDatabase(isMigrated);
  const database = await openServerDatabase(name);
  onTestFinished(async () => {
    await database.close();
    await remove();
  });
  return { name, database };
}

/**
 * Returns the name of the migrated template database. If the database is missing, builds it. Building is slow, so the
 * database is kept between runs. It has no connections, so it can be copied.
 */
async function ensureTemplate(): Promise<string> {
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
  const draftName = `${name}_building`;
  await client.query(`DROP DATABASE IF EXISTS ${draftName} WITH (FORCE)`);
  await client.query(`CREATE DATABASE ${draftName}`);
  const database = await openServerDatabase(draftName);
  await migrate(database);
  await database.close();
  await client.query(`ALTER DATABASE ${draftName} RENAME TO ${name}`);
}
