import { existsSync } from 'node:fs';
import { openDatabase, openStorage } from '../../app/open-engines.ts';
import { makeApiClient } from '../api-client.ts';
import { exitOnFailure } from '../stop-signals.ts';
import { attempt, type Finding } from './finding.ts';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, lockDataFolder, type LockHolder } from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import type { Database } from '../../db/database.ts';
import { openEmbeddedDatabase } from '../../db/engine/embedded.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeJobReportQueries } from '../../db/jobs/job-reports.ts';
import { migrate, readSchemaState, type SchemaState } from '../../db/engine/migrate.ts';
import { stalledQueueWarning } from '../../services/check-health.ts';
import { findStorageMismatch } from '../../services/claim-storage.ts';
import { makeLogger } from '../../telemetry/logger.ts';

/** Checks the database, or the running server that has it open. */
export async function checkDatabase(config: Config): Promise<Finding[]> {
  if (config.database.kind === 'postgres') return checkPostgres(config);
  const holder = findHolder(config.dataDir);
  return holder ? [await checkServer(holder)] : checkEmbedded(config, config.database.path);
}

async function checkServer({ pid, url }: LockHolder): Promise<Finding> {
  const subject = 'server';
  if (url === undefined)
    return { subject, state: `process ${pid} uses the data folder but serves no requests` };
  return attempt(
    subject,
    `process ${pid} responds at ${url}; its database and storage are healthy`,
    'See the log of the server.',
    () => makeApiClient({ baseUrl: url }).health(),
  );
}

async function checkEmbedded(config: Config, directory: string): Promise<Finding[]> {
  const subject = 'database';
  if (!existsSync(directory))
    return [{ subject, state: `none yet; the first start creates it in ${directory}` }];
  const remedy = `Restore ${directory} from a backup, or move it away to start with an empty database.`;
  const lock = takeLock(config.dataDir);
  if (typeof lock === 'string') {
    const lockRemedy = 'Check the owner and permissions of the folder, or set DATA_DIR to another one.';
    return [{ subject, state: lock, remedy: lockRemedy }];
  }
  try {
    const storageFindings: Finding[] = [];
    const opened = await attempt(
      subject,
      `embedded, in ${directory}; no server is running on it`,
      remedy,
      async () => {
        const database = await openEmbeddedDatabase(directory);
        await migrate(database);
        makePrivate(directory);
        await makeInstallationQueries(database).ping();
        storageFindings.push(...(await checkStorageMatch(config, database)));
        await database.close();
      },
    );
    return [opened, ...storageFindings];
  } finally {
    lock.release();
  }
}

/** Returns the lock, or the reason why it cannot be taken. */
function takeLock(dataDir: string): DataFolderLock | string {
  try {
    return lockDataFolder(dataDir);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const unreachableRemedy =
  'Check DATABASE_URL, that the server is running, and that it accepts connections of this user.';

/** Checks server, schema, permissions and pgvector. Does not migrate: a check must not change a database in use. */
export async function checkPostgres(config: Config): Promise<Finding[]> {
  const withoutWaiting = { ...config, database: { ...config.database, waitMs: 0 } };
  const opening = openDatabase(
    withoutWaiting,
    await makeLogger({ ...config.log, level: 'silent' }),
    exitOnFailure,
  );
  const database = await opening.catch(() => undefined);
  if (!database) return [await attempt('database', '', unreachableRemedy, () => opening)];
  try {
    const { version, pgvector } = await makeInstallationQueries(database).describe();
    const schema = await readSchemaState(database);
    return [
      { subject: 'database', state: `PostgreSQL ${version} responds` },
      describeSchema(schema),
      describePgvector(pgvector, schema),
      ...(schema.version === schema.needed ? await checkOperation(config, database) : []),
    ];
  } finally {
    await database.close();
  }
}

function describeSchema({ version, needed, mayChange }: SchemaState): Finding {
  const subject = 'schema';
  if (version === needed) return { subject, state: `version ${version}, up to date` };
  if (version > needed)
    return {
      subject,
      state: `version ${version}; this Vitrine supports up to ${needed}`,
      remedy: 'Install a newer Vitrine.',
    };
  const state = `${version === 0 ? 'none yet' : `version ${version}`}; the next start migrates it to version ${needed}`;
  if (mayChange) return { subject, state };
  return {
    subject,
    state: `${state}, but this user lacks the permissions`,
    remedy:
      'Make the user of DATABASE_URL the owner of the database and its tables, or run vitrine migrate as their owner.',
  };
}

function describePgvector(version: string | null, schema: SchemaState): Finding {
  const subject = 'pgvector';
  if (version !== null) return { subject, state: `version ${version}` };
  if (schema.version === 0)
    return { subject, state: 'not created yet; the first start creates it if permitted' };
  return {
    subject,
    state: 'not installed: similarity search is unavailable',
    remedy: 'Have an administrator run CREATE EXTENSION vector in this database, then restart.',
  };
}

/** Runs the checks that need an up-to-date schema: whether the storage matches, and whether jobs are processed. */
async function checkOperation(config: Config, database: Database): Promise<Finding[]> {
  return [...(await checkStorageMatch(config, database)), ...(await checkJobs(database))];
}

/** Checks that the storage belongs to this database. Reports nothing if the storage fails: `checkStorage` does that. */
export async function checkStorageMatch(config: Config, database: Database): Promise<Finding[]> {
  const storage = await openStorage(config).catch(() => undefined);
  if (!storage) return [];
  try {
    const mismatch = await findStorageMismatch({ storage, installation: makeInstallationQueries(database) });
    return mismatch ? [{ subject: 'pictures', state: mismatch.problem, remedy: mismatch.remedy }] : [];
  } catch {
    return [];
  } finally {
    await storage.close();
  }
}

async function checkJobs(database: Database): Promise<Finding[]> {
  const sentences = (await makeJobReportQueries(database).depth()).flatMap(
    (depth) => stalledQueueWarning(depth) ?? [],
  );
  const remedy = 'Start vitrine worker, or a server without ENABLE_WORKER=false, and check its log.';
  return sentences.map((state) => ({ subject: 'jobs', state, remedy }));
}
