import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeEach, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { fileFolder, testFolder } from './folders.ts';
import { fileServerDatabase, openWorkerServerDatabase, testServerDatabase } from './server-database.ts';
import { copyTemplate } from './template-database.ts';

/** Whether the tests in this process use a PostgreSQL server instead of the embedded database. */
// oxlint-disable-next-line node/no-process-env -- set by vitest.config.ts
export const isOnServer = process.env['TEST_ENGINE'] === 'postgres';

/** Every table that tests write to, except tenants. */
const truncatedTables = [
  'images',
  'renditions',
  'jobs',
  'imports',
  'import_lines',
  'image_references',
  'usage_deltas',
  'usage_totals',
  'fingerprints',
  'embeddings',
  'near_duplicates',
  'sweep_passes',
].join(', ');

/** The migrated database that the test files of this worker share in sequence, because opening a database is slow. */
let sharedDatabase: Promise<Database> | undefined;

/**
 * Returns a real, migrated database that is empty at the start of the file. Before each test, all rows except tenants
 * are removed. Services may cache tenants. Call this function during test collection.
 */
export async function useDatabase(): Promise<Database> {
  const database = await (sharedDatabase ??= openSharedDatabase());
  await database.runScript(`TRUNCATE ${truncatedTables}, tenants`);
  await database.runScript('UPDATE installation SET storage_marked_at = NULL');
  beforeEach(() => emptyTables(database));
  return database;
}

/** Opens the shared database. It stays open until the worker exits. The teardown of the test run removes its files. */
async function openSharedDatabase(): Promise<Database> {
  if (isOnServer) return openWorkerServerDatabase();
  const directory = join(process.env['TEST_RUN_FOLDER'] ?? (await fileFolder()), `db-${process.pid}`);
  await copyTemplate(directory);
  return openEmbeddedDatabase(directory);
}

/** Opens a migrated database for one test file. Rows are kept between its tests. */
export async function openDatabase(): Promise<Database> {
  if (isOnServer) return (await fileServerDatabase()).database;
  const directory = join(await fileFolder(), 'db');
  await copyTemplate(directory);
  const database = await openEmbeddedDatabase(directory);
  afterAll(() => database.close());
  return database;
}

/** Opens a migrated database for one test. It has its own installation id, unlike other copies of the template. */
export async function openTestDatabase(): Promise<Database> {
  const database = await openForTest(true);
  await database.runScript('UPDATE installation SET id = gen_random_uuid()');
  return database;
}

/** Opens a database without tables, for one test. */
export const openEmptyDatabase = (): Promise<Database> => openForTest(false);

async function openForTest(isMigrated: boolean): Promise<Database> {
  if (isOnServer) return (await testServerDatabase(isMigrated)).database;
  const directory = join(await testFolder(), 'db');
  await copyTemplate(directory, isMigrated);
  const database = await openEmbeddedDatabase(directory);
  onTestFinished(() => database.close());
  return database;
}

/** Truncates all tables except tenants. */
export async function emptyTables(database: Database): Promise<void> {
  await database.runScript(`TRUNCATE ${truncatedTables} RESTART IDENTITY`);
  await database.runScript('UPDATE tenants SET uses_references = false WHERE uses_references');
}

/** Runs a query and returns its rows. */
export async function rowsOf<Row>(database: Database, query: string): Promise<Row[]> {
  const { rows } = await sql.raw<Row>(query).execute(database.sql);
  return rows;
}

/** Runs a query and returns its only row. Throws unless there is exactly one row. */
export async function rowOf<Row>(database: Database, query: string): Promise<Row> {
  const rows = await rowsOf<Row>(database, query);
  if (rows.length !== 1) throw new Error(`${rows.length} rows instead of one: ${query}`);
  return rows[0] as Row;
}
