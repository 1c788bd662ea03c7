import { mkdir } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { isBelow } from '../data-folder/private-folder.ts';
import type { Database } from '../db/database.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * Chooses the drivers of the database, the queue and the storage. This is the only file that imports drivers, each when
 * it is used: loading all of them would make a start several times slower.
 */

/**
 * Opens the database. Its schema may be old or missing.
 * @param onBroken called if the embedded database breaks down; it is logged, and the process should exit
 */
export async function openDatabase(
  { database }: Pick<Config, 'database'>,
  logger: Logger,
  onBroken: () => void,
): Promise<Database> {
  if (database.kind === 'embedded') {
    const { openEmbeddedDatabase } = await import('../db/engine/embedded.ts');
    return openEmbeddedDatabase(database.path, (error) => {
      // It responds to nothing any more, even when there is free space again. Only a restart helps.
      logger.error(
        { err: error },
        `the embedded database broke down, and this process exits: ${error.message}. Nothing that was acknowledged is lost; free space on the disk of DATA_DIR, and start again`,
      );
      onBroken();
    });
  }
  const { openPostgresDatabase } = await import('../db/engine/postgres.ts');
  return openPostgresDatabase(database, logger);
}

/** Opens the queue. A server that does not respond is no failure: workers poll meanwhile. */
export async function openQueue(
  { queue, database }: Pick<Config, 'queue' | 'database'>,
  logger: Logger,
): Promise<WorkQueue> {
  if (queue.kind === 'redis') {
    const { makeRedisQueue } = await import('../queue/redis.ts');
    return makeRedisQueue({ ...queue, logger });
  }
  if (database.kind === 'embedded') {
    const { makeInProcessQueue } = await import('../queue/in-process.ts');
    return makeInProcessQueue();
  }
  const { makePostgresQueue } = await import('../queue/postgres.ts');
  const connection = { connectionString: database.url, connectionTimeoutMillis: database.connectMs };
  return makePostgresQueue({ connection, logger });
}

/** Opens the storage and creates its staging folder. */
export async function openStorage({
  storage,
  dataDir,
}: Pick<Config, 'storage' | 'dataDir'>): Promise<Storage> {
  if (storage.kind === 'local') {
    const { makeLocalStorage } = await import('../storage/local.ts');
    // Pictures inside DATA_DIR are private. Elsewhere they get the permissions of their folder, so that a web server
    // may read them.
    return makeLocalStorage(storage.path, { inheritRootMode: !isBelow(storage.path, dataDir) });
  }
  await mkdir(storage.stagingPath, { recursive: true });
  const { makeS3Storage } = await import('../storage/s3/s3-storage.ts');
  return makeS3Storage(storage);
}

/** Describes the engines for the log, without any password. */
export function describeEngines({ database, queue, storage }: Config): string {
  const rows = database.kind === 'embedded' ? `embedded in ${database.path}` : hostOf(database.url);
  const wakes = { 'in-process': 'in this process', postgres: 'by the database' };
  const wake = queue.kind === 'redis' ? `by Redis on ${hostOf(queue.url)}` : wakes[queue.kind];
  const files =
    storage.kind === 'local'
      ? storage.path
      : `bucket ${storage.bucket}${storage.prefix ? ` under ${storage.prefix}` : ''}${storage.endpoint ? ` on ${hostOf(storage.endpoint)}` : ''}`;
  return `database: ${rows}; workers are woken ${wake}; pictures: ${files}`;
}

function hostOf(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname === '/' ? '' : pathname}`;
}
