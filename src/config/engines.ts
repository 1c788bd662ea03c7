import { join, resolve } from 'node:path';
import type { OrphanBrake } from './picture-readers.ts';
import type { SettingValues } from './settings.ts';

/** Where rows lie: in the data folder, or on a server. */
export type DatabaseConfig = { readonly kind: 'embedded'; readonly path: string } | PostgresConfig;

/** A PostgreSQL server. */
export interface PostgresConfig {
  readonly kind: 'postgres';
  /** With user and password: never to be logged. */
  readonly url: string;
  readonly poolSize: number;
  readonly connectMs: number;
  readonly statementMs: number;
  /** How long a start waits for the server. */
  readonly waitMs: number;
}

/** What wakes workers up, beside polling: the process itself, the database server, or Redis. */
export type QueueConfig =
  | { readonly kind: 'in-process' | 'postgres' }
  | { readonly kind: 'redis'; readonly url: string; readonly name: string };

/** Where pictures lie. */
export type StorageConfig = (LocalStorageConfig | S3Config) & {
  readonly minFreeBytes: number;
  readonly orphanBrake: OrphanBrake;
};

interface LocalStorageConfig {
  readonly kind: 'local';
  readonly path: string;
}

/** A bucket of an S3-compatible store. */
export interface S3Config {
  readonly kind: 's3';
  readonly bucket: string;
  readonly region: string;
  /** `undefined`: AWS's own. */
  readonly endpoint: string | undefined;
  readonly forcePathStyle: boolean;
  /** Empty, or with a slash at its end. */
  readonly prefix: string;
  readonly timeoutMs: number;
  /** Presigned addresses in place of bytes, and how long they work; `undefined`: bytes. */
  readonly redirectSeconds: number | undefined;
  /** How long a presigned address for an upload works. */
  readonly presignSeconds: number;
  /** Folder on this machine for files that are on their way. */
  readonly stagingPath: string;
}

/** @see DatabaseConfig */
export function composeDatabase(values: SettingValues): DatabaseConfig {
  const url = values.databaseUrl ?? urlOfParts(values);
  if (url === undefined) return { kind: 'embedded', path: join(resolve(values.dataDir), 'db') };
  return {
    kind: 'postgres',
    url,
    poolSize: values.databasePoolSize,
    connectMs: values.databaseConnectSeconds * 1000,
    statementMs: values.databaseStatementSeconds * 1000,
    waitMs: values.databaseWaitSeconds * 1000,
  };
}

function urlOfParts(values: SettingValues): string | undefined {
  const { postgresHost: host, postgresUser: user, postgresPassword: password } = values;
  if (host === undefined) return undefined;
  const secret = password === undefined ? '' : `:${encodeURIComponent(password)}`;
  const database = encodeURIComponent(values.postgresDb ?? user);
  return `postgres://${encodeURIComponent(user)}${secret}@${host.trim()}:${values.postgresPort}/${database}`;
}

/** @see QueueConfig */
export function composeQueue(values: SettingValues, database: DatabaseConfig): QueueConfig {
  if (database.kind === 'embedded') return { kind: 'in-process' };
  if (values.redisUrl === undefined) return { kind: 'postgres' };
  return { kind: 'redis', url: values.redisUrl, name: values.queueName };
}

/** @see StorageConfig */
export function composeStorage(values: SettingValues): StorageConfig {
  const dataDir = resolve(values.dataDir);
  const common = { minFreeBytes: values.minFreeDiskMb * 2 ** 20, orphanBrake: values.orphanBrake };
  if (values.storageType === 'local') {
    const path = values.storagePath ? resolve(values.storagePath) : join(dataDir, 'storage');
    return { ...common, kind: 'local', path };
  }
  return {
    ...common,
    kind: 's3',
    bucket: values.s3Bucket ?? '',
    region: values.s3Region,
    endpoint: values.s3Endpoint,
    forcePathStyle: values.s3ForcePathStyle ?? values.s3Endpoint !== undefined,
    prefix: values.s3Prefix,
    timeoutMs: values.s3TimeoutSeconds * 1000,
    redirectSeconds: values.s3Delivery === 'redirect' ? values.s3PresignSeconds : undefined,
    presignSeconds: values.s3PresignSeconds,
    stagingPath: join(dataDir, 'staging'),
  };
}

/** What several settings together get wrong. */
export function engineProblems(values: SettingValues): string[] {
  const needsBucket = values.storageType === 's3' && !values.s3Bucket;
  return needsBucket ? ['S3_BUCKET: is not set; STORAGE_TYPE=s3 needs the name of a bucket.'] : [];
}

/** Settings that were set and count for nothing, because of others: whoever set them believes otherwise. */
export function engineWarnings(values: SettingValues): string[] {
  const { databaseUrl, postgresHost, postgresPassword, postgresDb, redisUrl } = values;
  const { storageType, s3Bucket, s3Endpoint } = values;
  const isEmbedded = databaseUrl === undefined && postgresHost === undefined;
  const warnings: string[] = [];
  if (isEmbedded && (postgresPassword ?? postgresDb) !== undefined)
    warnings.push(
      'POSTGRES_ settings have no effect without POSTGRES_HOST: the database is the embedded one.',
    );
  if (isEmbedded && redisUrl !== undefined)
    warnings.push('REDIS_URL has no effect without DATABASE_URL: the embedded database serves one process.');
  if (storageType === 'local' && (s3Bucket ?? s3Endpoint) !== undefined)
    warnings.push('S3_ settings have no effect without STORAGE_TYPE=s3: pictures lie on the local disk.');
  return warnings;
}
