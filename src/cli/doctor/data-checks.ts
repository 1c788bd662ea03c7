import { existsSync } from 'node:fs';
import { openStorage } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, type LockHolder, lockDataFolder } from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import { openEmbeddedDatabase } from '../../db/engine/embedded.ts';
import { migrate } from '../../db/engine/migrate.ts';
import { makeInstallationQueries } from '../../db/installation.ts';
import { makeAssertFreeSpace } from '../../storage/free-space.ts';
import type { Storage } from '../../storage/storage.ts';
import { makeApiClient } from '../api-client.ts';
import { attempt, type Finding } from './finding.ts';
import { checkBelonging } from './operation-checks.ts';
import { checkPostgres } from './postgres-checks.ts';

/** Server or lock, database, storage and disk. */
export async function checkData(config: Config): Promise<Finding[]> {
  const storage = await checkStorage(config);
  if (config.database.kind === 'postgres') return [...(await checkPostgres(config)), ...storage];
  const holder = findHolder(config.dataDir);
  const database = holder ? [await checkServer(holder)] : await checkEmbedded(config, config.database.path);
  return [...database, ...storage];
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
        await makeInstallationQueries(database).ping();
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

async function checkStorage(config: Config): Promise<Finding[]> {
  const place = config.storage.kind === 'local' ? config.storage.path : `bucket ${config.storage.bucket}`;
  const opening = openStorage(config);
  const written = await attempt(
    'storage',
    `${place} can be written and read`,
    config.storage.kind === 'local'
      ? 'Check the owner and the rights of the folder.'
      : 'Check the S3_ and AWS_ settings, and that the bucket exists.',
    async () => (await opening).check(),
  );
  const storage = await opening.catch(() => undefined);
  if (!storage) return [written];
  try {
    return [written, await checkDisk(storage, config.storage.minFreeBytes)];
  } finally {
    await storage.close();
  }
}

async function checkDisk(storage: Storage, minFreeBytes: number): Promise<Finding> {
  const free = Math.floor((await storage.freeBytes()) / 2 ** 20);
  return attempt(
    'disk',
    `${free} MiB free (uploads need ${minFreeBytes / 2 ** 20})`,
    'Free some space, or purge deleted images.',
    makeAssertFreeSpace(storage, minFreeBytes),
  );
}
