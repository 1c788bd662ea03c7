import { databaseUrl, redisUrl, s3Endpoint, s3Prefix, fractionAndCount } from './back-end-parsers.ts';
import { anyText, mebibytes, oneOf, seconds, wholeNumber, yesNo } from './parsers.ts';
import { optional, withDefault } from './setting.ts';

/** Settings of the database server. */
export const databaseSettings = {
  url: optional('DATABASE_URL', databaseUrl, {
    aliases: ['THUMBFORGE_DATABASE_URL'],
    isSecret: true,
    about:
      'URL of a PostgreSQL server (version 15 or newer) with pgvector (version 0.7 or newer). A driver name in the scheme (`postgresql+asyncpg://`) is ignored. If not set, Vitrine uses the embedded PostgreSQL in `DATA_DIR/db`.',
  }),
  host: optional('POSTGRES_HOST', anyText, {
    about:
      'Host of the PostgreSQL server, as an alternative to `DATABASE_URL`. The other `POSTGRES_` settings apply only if this one is set.',
  }),
  port: withDefault('POSTGRES_PORT', wholeNumber(1, 65_535), '5432', {
    about: 'Port of the PostgreSQL server.',
  }),
  user: withDefault('POSTGRES_USER', anyText, 'postgres', { about: 'Database user.' }),
  password: optional('POSTGRES_PASSWORD', anyText, {
    isSecret: true,
    about: 'Password of the database user.',
  }),
  name: optional('POSTGRES_DB', anyText, {
    about: 'Name of the database.',
    fallbackDescription: '`POSTGRES_USER`',
  }),
  poolSize: withDefault('DATABASE_POOL_SIZE', wholeNumber(2, 1_000), '10', {
    about:
      'Maximum number of pooled connections per process. Each process opens an additional connection to listen for notifications of new jobs.',
  }),
  connectMs: withDefault('DATABASE_CONNECT_SECONDS', seconds(1, 300), '5', {
    about: 'Maximum time that a request waits for a database connection; after that, the request gets 503.',
  }),
  statementMs: withDefault('DATABASE_STATEMENT_SECONDS', seconds(1, 3_600), '30', {
    about: 'Time limit for one SQL statement; after that, the database server cancels the statement.',
  }),
  waitMs: withDefault('DATABASE_WAIT_SECONDS', seconds(0, 3_600), '60', {
    about: 'How long to wait at startup for a database server that does not accept connections yet.',
  }),
} as const;

/** Settings of the queue, which notifies workers of new jobs. */
export const queueSettings = {
  redisUrl: optional('REDIS_URL', redisUrl, {
    aliases: ['THUMBFORGE_REDIS_URL'],
    isSecret: true,
    about:
      'URL of a Redis server (version 6.2 or newer) that wakes workers through BullMQ. Jobs are stored in the database, so nothing is lost if Redis fails. Requires a PostgreSQL server. If not set, PostgreSQL wakes the workers.',
  }),
  name: withDefault('QUEUE_NAME', anyText, 'vitrine', {
    aliases: ['THUMBFORGE_QUEUE_NAME'],
    about: 'Name of the queue in Redis. Installations that share a Redis server need different names.',
  }),
} as const;

/** Settings of the file storage. */
export const storageSettings = {
  type: withDefault('STORAGE_TYPE', oneOf(['local', 's3']), 'local', {
    about: 'Where images are stored: on disk (`local`) or in a bucket of an S3-compatible store (`s3`).',
  }),
  path: optional('STORAGE_PATH', anyText, {
    aliases: ['STORAGE_BASE_PATH', 'THUMBFORGE_STORAGE_PATH'],
    about:
      'Folder of locally stored images. It must be the same for all processes. If it is outside `DATA_DIR`, new files inherit the permissions that this folder grants to its group and to other users.',
    fallbackDescription: '`DATA_DIR/storage`',
  }),
  bucket: optional('S3_BUCKET', anyText, { about: 'Bucket in which images are stored. It must exist.' }),
  region: withDefault('S3_REGION', anyText, 'us-east-1', {
    aliases: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    about:
      "Region of the bucket. Credentials come from AWS's own variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), its configuration files, or the machine's role.",
  }),
  endpoint: optional('S3_ENDPOINT', s3Endpoint, {
    aliases: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    about: 'URL of the store.',
    fallbackDescription: 'AWS endpoint of the region',
  }),
  forcePathStyle: optional('S3_FORCE_PATH_STYLE', yesNo, {
    about: 'Whether URLs contain the bucket in the path instead of in the host name.',
    fallbackDescription: '`true` if `S3_ENDPOINT` is set',
  }),
  prefix: withDefault('S3_PREFIX', s3Prefix, '', {
    about: 'Prefix of all keys, so that several installations can share a bucket.',
    fallbackDescription: 'none',
  }),
  timeoutMs: withDefault('S3_TIMEOUT_SECONDS', seconds(1, 600), '5', {
    about:
      'Time limit for connecting, for the start of the response, and for each pause between two packets.',
  }),
  delivery: withDefault('S3_DELIVERY', oneOf(['stream', 'redirect']), 'stream', {
    about:
      'How originals and renditions are delivered: `stream` proxies them; `redirect` returns 302 with a presigned URL of the store.',
  }),
  presignSeconds: withDefault('S3_PRESIGN_SECONDS', wholeNumber(10, 604_800), '300', {
    about: 'How long presigned URLs are valid.',
  }),
  minFreeBytes: withDefault('MIN_FREE_DISK_MB', mebibytes(0, 1_000_000), '100', {
    about:
      'Minimum free space, in MiB, on the image disk (with S3, on the disk that contains the staging files). If less space is free, uploads get 507.',
  }),
  sweepLimit: withDefault('ORPHAN_BRAKE', fractionAndCount, '5%/10000', {
    about:
      'Safety limit for sweeps. If more than this percentage of all files, or more than this number of files, appear to be orphaned, the sweep deletes none of them and reports the problem.',
  }),
} as const;
