import { join } from 'node:path';
import { sql } from 'kysely';
import type { Config } from '../../config.ts';
import { findHolder, type LockHolder, lockDataFolder } from '../../data-folder/lock.ts';
import { openEmbeddedDatabase } from '../../db/embedded.ts';
import { migrate } from '../../db/migrate.ts';
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

function checkDatabase(config: Config): Promise<Finding> {
  const directory = join(config.dataDir, 'db');
  const remedy = `Restore ${directory} from a backup, or move it away to begin anew.`;
  return attempt('database', `embedded, in ${directory}; no server runs on it`, remedy, async () => {
    const lock = lockDataFolder(config.dataDir);
    try {
      const database = await openEmbeddedDatabase(directory);
      await migrate(database);
      await sql`SELECT count(*) FROM images`.execute(database.sql);
      await database.close();
    } finally {
      lock.release();
    }
  });
}

async function checkStorage({ storage: { path, minFreeBytes } }: Config): Promise<Finding[]> {
  const storage = await makeLocalStorage(path);
  const free = Math.floor((await storage.freeBytes()) / 2 ** 20);
  return [
    await attempt(
      'storage',
      `${path} can be written and read`,
      'Check the owner and the rights of the folder.',
      () => storage.check(),
    ),
    await attempt(
      'disk',
      `${free} MiB free (uploads need ${minFreeBytes / 2 ** 20})`,
      'Free some space, or purge deleted images.',
      makeAssertFreeSpace(storage, minFreeBytes),
    ),
  ];
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
