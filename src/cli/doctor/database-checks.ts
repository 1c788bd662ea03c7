import { existsSync } from 'node:fs';
import { openDatabase, openStorage } from '../../app/open-engines.ts';
import { makeApiClient } from '../api-client.ts';
import { attempt, type Finding } from './finding.ts';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, lockDataFolder, type LockHolder } from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import type { Database } from '../../db/database.ts';
import { openEmbeddedDatabase } from '../../db/embedded.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeJobReportQueries } from '../../db/job-reports.ts';
import { migrate } from '../../db/migrate.ts';
import { readSchemaState, type SchemaState } from '../../db/schema-state.ts';
import { makeSweepQueries } from '../../db/sweeping.ts';
import { describeIdleness } from '../../services/check-health.ts';
import { findStorageMismatch } from '../../services/claim-storage.ts';
import { makeLogger } from '../../telemetry/logger.ts';

/** Checks the database, or the server that has it open. */
export async function checkDatabase(config: Config): Promise<Finding[]> {
  if (config.database.kind === 'postgres') return checkPostgres(config);
  const holder = findHolder(config.dataDir);
  return holder ? [await checkServer(holder)] : checkEmbedded(config, config.database.path);
}

async function checkServer({ pid, url }: LockHolder): Promise<Finding> {
  const subject = 'server';
  if (url === undefined)
    return { subject, state: `process ${pid} holds the data folder and serves no requests` };
  return attempt(
    subject,
    `process ${pid} answers at ${url}; its database and storage are healthy`,
    'Look into the log of the server.',
    () => makeApiClient({ baseUrl: url }).health(),
  );
}

async function checkEmbedded(config: Config, directory: string): Promise<Finding[]> {
  const subject = 'database';
  if (!existsSync(directory))
    return [{ subject, state: `none yet; the first start makes it in ${directory}` }];
  const remedy = `Restore ${directory} from a backup, or move it away to begin anew.`;
  const lock = takeLock(config.dataDir);
  if (typeof lock === 'string') {
    const rights = 'Check the owner and the rights of the folder, or set DATA_DIR to another one.';
    return [{ subject, state: lock, remedy: rights }];
  }
  try {
    const found: Finding[] = [];
    const works = await attempt(
      subject,
      `embedded, in ${directory}; no server runs on it`,
      remedy,
      async () => {
        const database = await openEmbeddedDatabase(directory);
        await migrate(database);
        makePrivate(directory);
        await makeSweepQueries(database).isAlive();
        found.push(...(await checkBelonging(config, database)));
        await database.close();
      },
    );
    return [works, ...found];
  } finally {
    lock.release();
  }
}

/** The lock, or why it cannot be had. */
function takeLock(dataDir: string): DataFolderLock | string {
  try {
    return lockDataFolder(dataDir);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const unreachable =
  'Correct DATABASE_URL; if it is right, see to the server: it has to run, and let this user in.';

/** Server, schema, rights and pgvector. Does not migrate: a look must not change what other processes work on. */
export async function checkPostgres(config: Config): Promise<Finding[]> {
  const quick = { ...config, database: { ...config.database, waitMs: 0 } };
  const opening = openDatabase(quick, await makeLogger({ ...config.log, level: 'silent' }));
  const database = await opening.catch(() => undefined);
  if (!database) return [await attempt('database', '', unreachable, () => opening)];
  try {
    const { version, pgvector } = await makeSweepQueries(database).describeDatabase();
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

/** What only a database with its newest schema can tell: whether the storage is the right one, and whether work is done. */
async function checkOperation(config: Config, database: Database): Promise<Finding[]> {
  return [...(await checkBelonging(config, database)), ...(await checkWork(database))];
}

/** Whether the storage is that of this database. One that does not answer has a finding of its own. */
export async function checkBelonging(config: Config, database: Database): Promise<Finding[]> {
  const storage = await openStorage(config).catch(() => undefined);
  if (!storage) return [];
  try {
    const mismatch = await findStorageMismatch({ storage, installation: makeInstallationQueries(database) });
    return mismatch ? [{ subject: 'pictures', state: mismatch.what, remedy: mismatch.remedy }] : [];
  } catch {
    return [];
  } finally {
    await storage.close();
  }
}

async function checkWork(database: Database): Promise<Finding[]> {
  const sentences = (await makeJobReportQueries(database).depth()).flatMap(
    (depth) => describeIdleness(depth) ?? [],
  );
  const remedy = 'Start vitrine worker, or a server without ENABLE_WORKER=false; then look into its log.';
  return sentences.map((state) => ({ subject: 'jobs', state, remedy }));
}
