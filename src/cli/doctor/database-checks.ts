import { existsSync } from 'node:fs';
import { openStorage } from '../../app/open-engines.ts';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, type LockHolder, lockDataFolder } from '../../data-folder/lock.ts';
import { makePrivate } from '../../data-folder/private-folder.ts';
import { openEmbeddedDatabase } from '../../db/embedded.ts';
import { migrate } from '../../db/migrate.ts';
import { makeSweepQueries } from '../../db/sweeping.ts';
import { makeAssertFreeSpace } from '../../storage/free-space.ts';
import type { Storage } from '../../storage/storage.ts';
import { makeApiClient } from '../api-client.ts';
import { attempt, type Finding } from './finding.ts';
import { checkBelonging } from './operation-checks.ts';
import { checkPostgres } from './postgres-checks.ts';

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
