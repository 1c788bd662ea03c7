import { mkdir } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { isBelow } from '../data-folder/private-folder.ts';
import type { Database } from '../db/database.ts';
import type { EmbeddedThread } from '../db/engine/start-embedded-thread.ts';
import { makeDatabaseCounts } from '../db/request-counts.ts';
import type { Logger } from '../model/logger.ts';
import type { RequestCounts } from '../model/request-counts.ts';
import type { WorkQueue } from '../queue/queue.ts';
import { makeMemoryCounts } from '../services/limits/memory-counts.ts';
import { makeRequestLimiter, type RequestLimiter } from '../services/limits/request-limiter.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * Chooses the drivers for the database, the queue and storage. Each driver is imported on demand, because loading all
 * drivers would make startup several times slower.
 */

/**
 * Opens the database. Its schema may be outdated or missing.
 * @param onFailure called after a failure of the embedded database has been logged; the process should then exit
 * @param thread the thread that opens the embedded database, if it has been started
 */
export async function openDatabase(
  { database }: Pick<Config, 'database'>,
  logger: Logger,
  onFailure: () => void,
  thread?: Promise<EmbeddedThread>,
): Promise<Database> {
  if (database.kind === 'embedded') {
    const { openEmbeddedDatabase } = await import('../db/engine/embedded.ts');
    const onPanic = (error: Error) => {
      // A failed embedded database does not respond again, even after disk space has been freed.
      logger.error(
        { err: error },
        `the embedded database failed, so this process is exiting: ${error.message}. No acknowledged data is lost. If the disk that contains DATA_DIR is full, free up space, then restart`,
      );
      onFailure();
    };
    return openEmbeddedDatabase(database.path, onPanic, thread);
  }
  const { openPostgresDatabase } = await import('../db/engine/postgres.ts');
  return openPostgresDatabase(database, logger);
}

/** Opens the queue. Does not fail if the queue's server does not respond, because workers also poll for jobs. */
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

/** Opens the counts of requests that all processes share: in Redis if there is one, otherwise in the database. */
async function openRequestCounts(
  { queue }: Pick<Config, 'queue'>,
  database: Database,
): Promise<RequestCounts> {
  if (queue.kind === 'redis') {
    const { makeRedisCounts } = await import('../queue/redis-counts.ts');
    return makeRedisCounts({ url: queue.url, prefix: queue.name });
  }
  return database.kind === 'embedded' ? makeMemoryCounts() : makeDatabaseCounts(database);
}

/** Opens the counts of requests, and creates the limiter that uses them. */
export async function openRequestLimiter(
  { requests, queue }: Pick<Config, 'requests' | 'queue'>,
  database: Database,
  logger: Logger,
): Promise<RequestLimiter> {
  const { perKey: key, perAddress: address, invalidKeysPerAddress } = requests;
  return makeRequestLimiter({
    counts: await openRequestCounts({ queue }, database),
    limits: { key, address, 'invalid-keys': invalidKeysPerAddress },
    logger,
  });
}

/** Opens storage and creates its staging folder. */
export async function openStorage({
  storage,
  dataDir,
}: Pick<Config, 'storage' | 'dataDir'>): Promise<Storage> {
  if (storage.kind === 'local') {
    const { makeLocalStorage } = await import('../storage/local.ts');
    // Pictures inside DATA_DIR are private. Elsewhere they inherit the permissions of their folder, so that a web
    // server can read them.
    return makeLocalStorage(storage.path, { inheritRootMode: !isBelow(storage.path, dataDir) });
  }
  await mkdir(storage.stagingPath, { recursive: true });
  const { makeS3Storage } = await import('../storage/s3/s3-storage.ts');
  return makeS3Storage(storage);
}

/** Describes the database, queue and storage for the log, without passwords. */
export function describeBackEnds({ database, queue, storage }: Config): string {
  const databaseText =
    database.kind === 'embedded' ? `embedded in ${database.path}` : getHostAndPath(database.url);
  const wakeSources = { 'in-process': 'by this process', postgres: 'by the database' };
  const queueText =
    queue.kind === 'redis' ? `by Redis on ${getHostAndPath(queue.url)}` : wakeSources[queue.kind];
  const storageText =
    storage.kind === 'local'
      ? storage.path
      : `bucket ${storage.bucket}${storage.prefix ? ` under ${storage.prefix}` : ''}${storage.endpoint ? ` on ${getHostAndPath(storage.endpoint)}` : ''}`;
  return `database: ${databaseText}; workers are woken ${queueText}; pictures: ${storageText}`;
}

function getHostAndPath(url: string): string {
  const { host, pathname } = new URL(url);
  return `${host}${pathname === '/' ? '' : pathname}`;
}
