import { databaseUrl, redisUrl, s3Endpoint, s3Prefix, fractionAndCount } from './engine-readers.ts';
import { anyText, mebibytes, oneOf, seconds, wholeNumber, yesNo } from './readers.ts';
import { optional, withDefault } from './setting.ts';

/** Settings of the database server. */
export const databaseSettings = {
  url: optional('DATABASE_URL', databaseUrl, {
    aliases: ['THUMBFORGE_DATABASE_URL'],
    isSecret: true,
    about:
      'A PostgreSQL server, version 15 or newer, with pgvector 0.7 or newer. A driver name in the scheme (`postgresql+asyncpg://`) is ignored. Not set: the embedded PostgreSQL in `DATA_DIR/db`.',
  }),
  host: optional('POSTGRES_HOST', anyText, {
    about:
      'Host of the PostgreSQL server, as an alternative to `DATABASE_URL`. The other `POSTGRES_` settings only apply when this one is set.',
  }),
  port: withDefault('POSTGRES_PORT', wholeNumber(1, 65_535), '5432', { about: 'Port of that server.' }),
  user: withDefault('POSTGRES_USER', anyText, 'postgres', { about: 'User of that server.' }),
  password: optional('POSTGRES_PASSWORD', anyText, { isSecret: true, about: 'Password of that user.' }),
  name: optional('POSTGRES_DB', anyText, {
    about: 'Database of that server.',
    fallbackWords: '`POSTGRES_USER`',
  }),
  poolSize: withDefault('DATABASE_POOL_SIZE', wholeNumber(2, 1_000), '10', {
    about: 'Maximum number of connections of one process; it opens one more to listen for wake-ups.',
  }),
  connectMs: withDefault('DATABASE_CONNECT_SECONDS', seconds(1, 300), '5', {
    about: 'Longest wait for a connection; then a request gets 503.',
  }),
  statementMs: withDefault('DATABASE_STATEMENT_SECONDS', seconds(1, 3_600), '30', {
    about: 'Time limit for one statement; then the server cancels it.',
  }),
  waitMs: withDefault('DATABASE_WAIT_SECONDS', seconds(0, 3_600), '60', {
    about: 'How long to wait at start for a server that does not accept connections yet.',
  }),
} as const;

/** Settings of the queue, which wakes workers. */
export const queueSettings = {
  redisUrl: optional('REDIS_URL', redisUrl, {
    aliases: ['THUMBFORGE_REDIS_URL'],
    isSecret: true,
    about:
      'A Redis server, version 6.2 or newer, that wakes workers up (BullMQ). Jobs stay in the database, so losing Redis loses nothing. Requires a PostgreSQL server; not set, that server wakes workers up itself.',
  }),
  name: withDefault('QUEUE_NAME', anyText, 'vitrine', {
    aliases: ['THUMBFORGE_QUEUE_NAME'],
    about: 'Name of the queue in Redis. Installations that share a Redis server need different names.',
  }),
} as const;

/** Settings of the file storage. */
export const storageSettings = {
  type: withDefault('STORAGE_TYPE', oneOf(['local', 's3']), 'local', {
    about: 'Where pictures are stored: `local` on disk, `s3` in a bucket of an S3-compatible store.',
  }),
  path: optional('STORAGE_PATH', anyText, {
    aliases: ['STORAGE_BASE_PATH', 'THUMBFORGE_STORAGE_PATH'],
    about:
      'Folder of locally stored pictures. All processes need the same one. Outside `DATA_DIR`, new files get the permissions that other users have on this folder.',
    fallbackWords: '`DATA_DIR/storage`',
  }),
  bucket: optional('S3_BUCKET', anyText, { about: 'Bucket of the pictures. It must exist.' }),
  region: withDefault('S3_REGION', anyText, 'us-east-1', {
    aliases: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    about:
      "Region of the bucket. Credentials come from AWS's own variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), from its files, or from the role of the machine.",
  }),
  endpoint: optional('S3_ENDPOINT', s3Endpoint, {
    aliases: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    about: 'Address of the store.',
    fallbackWords: "AWS's own",
  }),
  forcePathStyle: optional('S3_FORCE_PATH_STYLE', yesNo, {
    about: 'Whether addresses have the bucket in their path instead of in the host name.',
    fallbackWords: '`true` when `S3_ENDPOINT` is set',
  }),
  prefix: withDefault('S3_PREFIX', s3Prefix, '', {
    about: 'Prefix of all keys, so that several installations can share a bucket.',
    fallbackWords: 'none',
  }),
  timeoutMs: withDefault('S3_TIMEOUT_SECONDS', seconds(1, 600), '5', {
    about: 'Time limit for connecting, for the response, and for each pause between two packets.',
  }),
  delivery: withDefault('S3_DELIVERY', oneOf(['stream', 'redirect']), 'stream', {
    about:
      'How originals and renditions are delivered: `stream` passes them through; `redirect` answers 302 with a presigned address of the store.',
  }),
  presignSeconds: withDefault('S3_PRESIGN_SECONDS', wholeNumber(10, 604_800), '300', {
    about: 'How long a presigned address is valid.',
  }),
  minFreeBytes: withDefault('MIN_FREE_DISK_MB', mebibytes(0, 1_000_000), '100', {
    about:
      'Uploads get 507 while less than this is free on the disk of the pictures (with S3: of the staging files), in MiB.',
  }),
  sweepLimit: withDefault('ORPHAN_BRAKE', fractionAndCount, '5%/10000', {
    about:
      'Safety limit of sweeps: one that finds more than this share of all files, or more than this number, to be orphaned removes nothing and reports it.',
  }),
} as const;
