import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config.ts';
import { type DataFolderLock, findHolder, type LockHolder, lockDataFolder } from '../../data-folder/lock.ts';
import { openEmbeddedDatabase } from '../../db/embedded.ts';
import { migrate } from '../../db/migrate.ts';
import { makeSweepQueries } from '../../db/sweeping.ts';
import { makeAssertFreeSpace } from '../../storage/free-space.ts';
import { makeLocalStorage } from '../../storage/local.ts';
import { makeApiClient } from '../api-client.ts';
import type { Finding } from './finding.ts';

/** Server or lock, database, storage and disk. */
export async function checkData(config: Config): Promise<Finding[]> {
  const holder = findHolder(config.dataDir);
  const database = holder ? await checkServer(holder) : await checkDatabase(config);
  return [database, ...(await checkStorage(config))];
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

async function checkDatabase(config: Config): Promise<Finding> {
  const directory = join(config.dataDir, 'db');
  if (!existsSync(directory)) {
    return Promise.resolve({
      subject: 'database',
      state: `none yet; the first start makes it in ${directory}`,
    });
  }
  const remedy = `Restore ${directory} from a backup, or move it away to begin anew.`;
  const lock = takeLock(config.dataDir);
  if (typeof lock === 'string') {
    const rights = 'Check the owner and the rights of the folder, or set DATA_DIR to another one.';
    return { subject: 'database', state: lock, remedy: rights };
  }
  try {
    return await attempt('database', `embedded, in ${directory}; no server runs on it`, remedy, async () => {
      const database = await openEmbeddedDatabase(directory);
      await migrate(database);
      await makeSweepQueries(database).isAlive();
      await database.close();
    });
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

async function checkStorage({ storage: { path, minFreeBytes } }: Config): Promise<Finding[]> {
  const opening = makeLocalStorage(path);
  const written = await attempt(
    'storage',
    `${path} can be written and read`,
    'Check the owner and the rights of the folder.',
    async () => (await opening).check(),
  );
  const storage = await opening.catch(() => undefined);
  if (!storage) return [written];
  const free = Math.floor((await storage.freeBytes()) / 2 ** 20);
  const disk = await attempt(
    'disk',
    `${free} MiB free (uploads need ${minFreeBytes / 2 ** 20})`,
    'Free some space, or purge deleted images.',
    makeAssertFreeSpace(storage, minFreeBytes),
  );
  return [written, disk];
}

async function attempt(
  subject: string,
  state: string,
  remedy: string,
  work: () => Promise<unknown>,
): Promise<Finding> {
  try {
    await work();
    return { subject, state };
  } catch (error) {
    return { subject, state: error instanceof Error ? error.message : String(error), remedy };
  }
}
