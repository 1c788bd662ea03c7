import { join, resolve } from 'node:path';
import type { SettingValues } from './settings.ts';

/** A PostgreSQL server. `url` contains the user and the password: never log it. */
export type PostgresConfig = { readonly kind: 'postgres'; readonly url: string } & Pick<
  SettingValues['database'],
  'poolSize' | 'connectMs' | 'statementMs' | 'waitMs'
>;

/** The database: embedded in the data folder or on a server. */
export type DatabaseConfig = { readonly kind: 'embedded'; readonly path: string } | PostgresConfig;

/** The mechanism that wakes workers, in addition to polling. */
export type QueueConfig =
  | { readonly kind: 'in-process' | 'postgres' }
  | { readonly kind: 'redis'; readonly url: string; readonly name: string };

/** Where pictures are stored. */
export type StorageConfig = LocalStorageConfig | S3Config;

type LocalStorageConfig = { readonly kind: 'local'; readonly path: string } & CommonStorageConfig;

type CommonStorageConfig = Pick<SettingValues['storage'], 'minFreeBytes' | 'sweepLimit'>;

/** A bucket of an S3-compatible store. */
export interface S3Config
  extends CommonStorageConfig,
    Pick<SettingValues['storage'], 'region' | 'endpoint' | 'prefix' | 'timeoutMs' | 'presignSeconds'> {
  readonly kind: 's3';
  readonly bucket: string;
  readonly forcePathStyle: boolean;
  /** How long presigned URLs in redirects are valid; `undefined` if files are streamed instead. */
  readonly redirectSeconds: number | undefined;
  /** Local folder for staging files. */
  readonly stagingPath: string;
}

/** @see DatabaseConfig */
export function composeDatabase({ database, data }: SettingValues): DatabaseConfig {
  const { url = composeUrl(database), poolSize, connectMs, statementMs, waitMs } = database;
  if (url === undefined) return { kind: 'embedded', path: join(resolve(data.dir), 'db') };
  return { kind: 'postgres', url, poolSize, connectMs, statementMs, waitMs };
}

function composeUrl({ host, port, user, password, name }: SettingValues['database']): string | undefined {
  if (host === undefined) return undefined;
  const passwordPart = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const database = encodeURIComponent(name ?? user);
  return `postgres://${encodeURIComponent(user)}${passwordPart}@${host.trim()}:${port}/${database}`;
}

/** @see QueueConfig */
export function composeQueue({ queue }: SettingValues, database: DatabaseConfig): QueueConfig {
  if (database.kind === 'embedded') return { kind: 'in-process' };
  if (queue.redisUrl === undefined) return { kind: 'postgres' };
  return { kind: 'redis', url: queue.redisUrl, name: queue.name };
}

/** @see StorageConfig */
export function composeStorage({ storage, data }: SettingValues): StorageConfig {
  const { type, path, bucket, delivery, ...common } = storage;
  const dataDir = resolve(data.dir);
  if (type === 'local') {
    const { minFreeBytes, sweepLimit } = common;
    return { kind: 'local', path: path ? resolve(path) : join(dataDir, 'storage'), minFreeBytes, sweepLimit };
  }
  return {
    ...common,
    kind: 's3',
    bucket: bucket ?? '',
    forcePathStyle: common.forcePathStyle ?? common.endpoint !== undefined,
    redirectSeconds: delivery === 'redirect' ? common.presignSeconds : undefined,
    stagingPath: join(dataDir, 'staging'),
  };
}

/** Returns a sentence for each invalid combination of settings. */
export function findBackEndProblems({ storage }: SettingValues): string[] {
  const lacksBucket = storage.type === 's3' && !storage.bucket;
  return lacksBucket ? ['S3_BUCKET: not set; STORAGE_TYPE=s3 requires a bucket.'] : [];
}

/** Returns a warning for each group of settings that is set but has no effect because of other settings. */
export function findBackEndWarnings({ database, queue, storage }: SettingValues): string[] {
  const isEmbedded = database.url === undefined && database.host === undefined;
  const warnings: string[] = [];
  if (isEmbedded && (database.password ?? database.name) !== undefined)
    warnings.push('POSTGRES_ settings have no effect without POSTGRES_HOST: the embedded database is used.');
  if (isEmbedded && queue.redisUrl !== undefined)
    warnings.push(
      'REDIS_URL has no effect without DATABASE_URL: the embedded database supports only one process.',
    );
  if (storage.type === 'local' && (storage.bucket ?? storage.endpoint) !== undefined)
    warnings.push(
      'S3_ settings have no effect without STORAGE_TYPE=s3: images are stored on the local disk.',
    );
  return warnings;
}
