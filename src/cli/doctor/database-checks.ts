import { existsSync } from 'node:fs';
import { openDatabase, openStorage } from '../../app/open-back-ends.ts';
import { makeApiClient } from '../api-client.ts';
import { exitOnFailure } from '../stop-signals.ts';
import { checkKeys, checkKeysOfServer, checkModeOfServer } from './access-checks.ts';
import { runCheck, type Finding } from './finding.ts';
import type { Config } from '../../config.ts';
import {
  type DataFolderLock,
  findLockHolder,
  lockDataFolder,
  type LockHolder,
} from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import type { Database } from '../../db/database.ts';
import { openEmbeddedDatabase } from '../../db/engine/embedded.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeQueries } from '../../db/queries.ts';
import { makeJobReportQueries } from '../../db/jobs/job-reports.ts';
import { migrate, readSchemaState, type SchemaState } from '../../db/engine/migrate.ts';
import { describeMissingIsolation, type TenantBinding, tenantRole } from '../../db/engine/tenant-binding.ts';
import { makePresetQueries } from '../../db/presets.ts';
import { describePresetChanges, findPresetChanges } from '../../model/preset-changes.ts';
import { parseStoredPresets } from '../../services/stored-presets.ts';
import { stalledQueueWarning } from '../../services/check-health.ts';
import { findStorageMismatch } from '../../services/claim-storage.ts';
import { makeLogger } from '../../telemetry/logger.ts';

/** Checks the database or, if a running server uses it, that server. */
export async function checkDatabase(config: Config): Promise<Finding[]> {
  if (config.database.kind === 'postgres') return checkPostgres(config);
  const holder = findLockHolder(config.dataDir);
  return holder ? checkServer(config, holder) : checkEmbedded(config, config.database.path);
}

async function checkServer(config: Config, { pid, url }: LockHolder): Promise<Finding[]> {
  const subject = 'server';
  if (url === undefined)
    return [{ subject, state: `process ${pid} is using the data folder but is not serving requests` }];
  const finding = await runCheck(
    subject,
    `process ${pid} responds at ${url}; its database and storage are healthy`,
    'See the server log.',
    () => makeApiClient({ baseUrl: url }).assertHealthy(),
  );
  return finding.remedy === undefined
    ? [finding, ...(await checkModeOfServer(config, url)), ...(await checkKeysOfServer(config))]
    : [finding];
}

async function checkEmbedded(config: Config, directory: string): Promise<Finding[]> {
  const subject = 'database';
  if (!existsSync(directory))
    return [{ subject, state: `not created yet; the first start creates it in ${directory}` }];
  const remedy = `Restore ${directory} from a backup, or move the folder elsewhere to start with an empty database.`;
  const lock = tryLock(config.dataDir);
  if (typeof lock === 'string') {
    const lockRemedy =
      'Check the owner and permissions of the folder, or set DATA_DIR to a different folder.';
    return [{ subject, state: lock, remedy: lockRemedy }];
  }
  try {
    const otherFindings: Finding[] = [];
    const databaseFinding = await runCheck(
      subject,
      `embedded, in ${directory}; no server is using it`,
      remedy,
      async () => {
        const database = await openEmbeddedDatabase(directory);
        await migrate(database);
        makePrivate(directory);
        await makeInstallationQueries(database).ping();
        otherFindings.push(...(await checkStorageMatch(config, database)));
        otherFindings.push(...(await checkKeys(config, makeQueries(database).apiKeys)));
        await database.close();
      },
    );
    return [databaseFinding, ...otherFindings];
  } finally {
    lock.release();
  }
}

/** Returns the lock, or the reason why the folder cannot be locked. */
function tryLock(dataDir: string): DataFolderLock | string {
  try {
    return lockDataFolder(dataDir);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const unreachableRemedy =
  'Check DATABASE_URL, and make sure that the server is running and accepts connections from this user.';

/** Checks the server, the schema, permissions and pgvector. Does not migrate, because a check must not change data. */
export async function checkPostgres(config: Config): Promise<Finding[]> {
  const configWithoutWait = { ...config, database: { ...config.database, waitMs: 0 } };
  const databasePromise = openDatabase(
    configWithoutWait,
    await makeLogger({ ...config.log, level: 'silent' }),
    exitOnFailure,
  );
  const database = await databasePromise.catch(() => undefined);
  if (!database) return [await runCheck('database', '', unreachableRemedy, () => databasePromise)];
  try {
    const { version, pgvector } = await makeInstallationQueries(database).describe();
    const schema = await readSchemaState(database);
    return [
      { subject: 'database', state: `PostgreSQL ${version} responds` },
      describeSchema(schema),
      describePgvector(pgvector, schema),
      ...(schema.version === schema.neededVersion
        ? [
            describeTenantBinding(await database.detectTenantBinding()),
            ...(await checkStorageAndJobs(config, database)),
          ]
        : []),
    ];
  } finally {
    await database.close();
  }
}

function describeSchema({ version, neededVersion, canMigrate }: SchemaState): Finding {
  const subject = 'schema';
  if (version === neededVersion) return { subject, state: `version ${version}, up to date` };
  if (version > neededVersion)
    return {
      subject,
      state: `version ${version}; this version of Vitrine supports versions up to ${neededVersion}`,
      remedy: 'Install a newer version of Vitrine.',
    };
  const currentState = version === 0 ? 'not created yet' : `version ${version}`;
  if (canMigrate)
    return {
      subject,
      state: `${currentState}; the next start migrates the schema to version ${neededVersion}`,
    };
  return {
    subject,
    state: `${currentState}; a migration to version ${neededVersion} is needed, but this user is not allowed to change the schema`,
    remedy:
      'Make the user of DATABASE_URL the owner of the database and its tables, or run vitrine migrate as their owner.',
  };
}

function describePgvector(version: string | null, schema: SchemaState): Finding {
  const subject = 'pgvector';
  if (version !== null) return { subject, state: `version ${version}` };
  if (schema.version === 0)
    return { subject, state: 'not created yet; the first start creates it if permissions allow' };
  return {
    subject,
    state: 'not installed: similarity search is unavailable',
    remedy: 'Have an administrator run CREATE EXTENSION vector in this database, then restart.',
  };
}

function describeTenantBinding(binding: TenantBinding): Finding {
  const subject = 'isolation';
  if (binding.by !== 'none') {
    const how =
      binding.by === 'user' ? 'applies to this user' : `is applied by switching to the role ${tenantRole}`;
    return { subject, state: `row-level security ${how} when a key has a tenant` };
  }
  return {
    subject,
    state: describeMissingIsolation(binding),
    remedy: `Use a database user without BYPASSRLS. Or, as an administrator, run CREATE ROLE ${tenantRole} NOLOGIN (if it is missing) and GRANT ${tenantRole} to this user, then restart.`,
    isWarning: true,
  };
}

/** Checks the API keys, whether storage belongs to the database, and whether jobs are processed. Requires an up-to-date schema. */
async function checkStorageAndJobs(config: Config, database: Database): Promise<Finding[]> {
  return [
    ...(await checkKeys(config, makeQueries(database).apiKeys)),
    ...(await checkStorageMatch(config, database)),
    ...(await checkPresets(config, database)),
    ...(await checkJobs(database)),
  ];
}

/**
 * Checks that the storage location belongs to this database. Ignores storage failures, which `checkStorage` reports.
 */
export async function checkStorageMatch(config: Config, database: Database): Promise<Finding[]> {
  const storage = await openStorage(config).catch(() => undefined);
  if (!storage) return [];
  try {
    const mismatch = await findStorageMismatch({ storage, installation: makeInstallationQueries(database) });
    return mismatch ? [{ subject: 'images', state: mismatch.problem, remedy: mismatch.remedy }] : [];
  } catch {
    return [];
  } finally {
    await storage.close();
  }
}

/** Compares the presets in force with those of this machine. */
async function checkPresets({ presets }: Config, database: Database): Promise<Finding[]> {
  const stored = await makePresetQueries(database).find();
  const subject = 'presets';
  if (!stored) return [{ subject, state: 'not registered yet; the first server registers its PRESETS' }];
  const { version, registeredBy } = stored;
  const inForce = parseStoredPresets(stored.presets);
  if (!inForce)
    return [
      {
        subject,
        state: `version ${version}, registered by Vitrine ${registeredBy}, contains options that this version does not know`,
        remedy: 'Install the same version of Vitrine as on the other machines.',
      },
    ];
  const changes = findPresetChanges(presets, inForce);
  if (!changes) return [{ subject, state: `version ${version} is in force, the same as PRESETS` }];
  return [
    {
      subject,
      state: `version ${version} is in force and differs from PRESETS here: ${describePresetChanges(changes)}`,
      remedy:
        'Set the same PRESETS and KEEP_METADATA on all machines. The server that starts last with different PRESETS decides; workers follow it.',
      isWarning: true,
    },
  ];
}

async function checkJobs(database: Database): Promise<Finding[]> {
  const problems = (await makeJobReportQueries(database).readQueueDepth()).flatMap(
    (depth) => stalledQueueWarning(depth) ?? [],
  );
  const remedy = 'Start vitrine worker, or a server with ENABLE_WORKER=true, and check its log.';
  return problems.map((state) => ({ subject: 'jobs', state, remedy }));
}
