import { mkdir } from 'node:fs/promises';
import type { Config } from '../config.ts';
import { isBelow } from '../data-folder/private-folder.ts';
import type { Database } from '../db/database.ts';
import type { Logger } from '../model/logger.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { Storage } from '../storage/storage.ts';

/**
 * The only file that names drivers: which database, queue and storage a configuration means. Each is loaded when it is
 * used: the ones that are not would take a start longer than all else together.
 */

/** Opens the database; its schema may be old or missing. */
export async function openDatabase({ database }: Config, logger: Logger): Promise<Database> {
  if (database.kind === 'embedded') {
    const { openEmbeddedDatabase } = await import('../db/engine/embedded.ts');
    return openEmbeddedDatabase(database.path, (error) => endBroken(logger, error));
  }
  const { openPostgresDatabase } = await import('../db/engine/postgres.ts');
  return openPostgresDatabase(database, logger);
}

/** Each request would wait for ever, also when there is space again: a process that ends can be started anew. */
function endBroken(logger: Logger, error: Error): void {
  logger.error(
    { err: error },
    `the embedded database broke down, and this process ends: ${error.message}. Nothing that was acknowledged is lost; see to free space on the disk of DATA_DIR, and start again`,
  );
  process.exit(1);
}

/** Opens what wakes workers up. A server that is away is no failure: work goes on by polling. */
export async function openQueue({ queue, database }: Config, logger: Logger): Promise<WorkQueue> {
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

/** Opens the storage and its staging folder. */
export async function openStorage({ storage, dataDir }: Config): Promise<Storage> {
  if (storage.kind === 'local') {
    const { makeLocalStorage } = await import('../storage/local.ts');
    // Pictures below DATA_DIR are private. Elsewhere they inherit the permissions of their folder, which may allow a
    // web server.
    return makeLocalStorage(storage.path, { followsRoot: !isBelow(storage.path, dataDir) });
  }
  await mkdir(storage.stagingPath, { recursive: true });
  const { makeS3Storage } = await import('../storage/s3/s3-storage.ts');
  return makeS3Storage(storage);
}

/** Where everything lies, for logs: without any password. */
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
