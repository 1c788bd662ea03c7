import { join } from 'node:path';
import { sql } from 'kysely';
import { afterAll, beforeEach, onTestFinished } from 'vitest';
import type { Database } from '../../../src/db/database.ts';
import { openEmbeddedDatabase } from '../../../src/db/engine/embedded.ts';
import { retrying } from '../../../src/db/engine/retrying.ts';
import { makeFileFolder, makeTestFolder } from './folders.ts';
import {
  openFileServerDatabase,
  openOwnedDatabase,
  openWorkerServerDatabase,
  openTestServerDatabase,
} from './server-database.ts';
import { copyTemplate } from './template-database.ts';

/** Whether the tests in this process use a PostgreSQL server instead of the embedded database. */
// oxlint-disable-next-line node/no-process-env -- set by vitest.config.ts
const usesPostgresServer = process.env['TEST_ENGINE'] === 'postgres';

/**
 * Whether the tests use the server as an ordinary user who owns the database. Row-level security applies to this user, and
 * not to the administrator as whom tests otherwise use it.
 */
// oxlint-disable-next-line node/no-process-env -- set by vitest.config.ts
export const usesOrdinaryUser = process.env['TEST_LOGIN'] === 'owner';

/** Every table that tests write to, except tenants and the audit log, which rejects this. */
const truncatedTables = [
  'images',
  'renditions',
  'variant_claims',
  'jobs',
  'imports',
  'import_lines',
  'image_references',
  'usage_deltas',
  'usage_totals',
  'fingerprints',
  'frame_hashes',
  'embeddings',
  'search_spaces',
  'vector_indexes',
  'near_duplicates',
  'duplicate_verdicts',
  'duplicate_groups',
  'duplicate_members',
  'duplicate_resolutions',
  'sweep_passes',
  'api_keys',
  'idempotent_requests',
  'request_counts',
  'import_counts',
  'presets_in_force',
  'campaigns',
].join(', ');

/**
 * The migrated database that the test files of this Vitest worker share in sequence, because opening a database is
 * slow.
 */
let sharedDatabase: Promise<Database> | undefined;

/**
 * Returns a real, migrated database that is empty at the start of the test file. Before each test, all rows are
 * removed, except tenants, because services may cache them. Call this function during test collection.
 */
export async function useDatabase(): Promise<Database> {
  const database = await (sharedDatabase ??= openSharedDatabase());
  await database.runScript(`TRUNCATE ${truncatedTables}, tenants`);
  await database.runScript('UPDATE installation SET storage_marked_at = NULL');
  beforeEach(() => emptyTables(database));
  return database;
}

/**
 * Opens the shared database. It stays open until the Vitest worker exits. The teardown of the test run removes its
 * files.
 */
async function openSharedDatabase(): Promise<Database> {
  if (usesPostgresServer) return openWorkerServerDatabase();
  const directory = join(process.env['TEST_RUN_FOLDER'] ?? (await makeFileFolder()), `db-${process.pid}`);
  await copyTemplate(directory);
  return openEmbeddedDatabase(directory);
}

/** Opens a migrated database for one test file. Rows are kept between its tests. */
export async function openDatabase(): Promise<Database> {
  if (usesOrdinaryUser) return (await openOwnedDatabase()).database;
  if (usesPostgresServer) return (await openFileServerDatabase()).database;
  const directory = join(await makeFileFolder(), 'db');
  await copyTemplate(directory);
  const database = await openEmbeddedDatabase(directory);
  afterAll(() => database.close());
  return database;
}

/**
 * Opens a migrated database for one test. Its installation id is unique. All other test databases have the same
 * installation id, because they are copies of one template.
 */
export async function openTestDatabase(): Promise<Database> {
  const database = await openForTest(true);
  await database.runScript('UPDATE installation SET id = gen_random_uuid()');
  return database;
}

/** Opens a database without tables, for one test. */
export const openEmptyDatabase = (): Promise<Database> => openForTest(false);

async function openForTest(isMigrated: boolean): Promise<Database> {
  if (usesPostgresServer) return (await openTestServerDatabase(isMigrated)).database;
  const directory = join(await makeTestFolder(), 'db');
  await copyTemplate(directory, isMigrated);
  const database = await openEmbeddedDatabase(directory);
  onTestFinished(() => database.close());
  return database;
}

/** Truncates all tables except tenants. */
export async function emptyTables(database: Database): Promise<void> {
  // Work that the previous test did not wait for may hold locks in another order.
  await retrying(() => database.runScript(`TRUNCATE ${truncatedTables} RESTART IDENTITY`));
  await database.runScript(
    "UPDATE tenants SET uses_references = false, settings = '{}' WHERE uses_references OR settings <> '{}'",
  );
}

/** Runs a query and returns its rows. */
export async function selectRows<Row>(database: Database, query: string): Promise<Row[]> {
  const { rows } = await sql.raw<Row>(query).execute(database.sql);
  return rows;
}

/** Runs a query and returns its only row. Throws unless there is exactly one row. */
export async function selectRow<Row>(database: Database, query: string): Promise<Row> {
  const rows = await selectRows<Row>(database, query);
  if (rows.length !== 1) throw new Error(`${rows.length} rows instead of one: ${query}`);
  return rows[0] as Row;
}
