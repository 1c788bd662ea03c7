import { databaseUrl, redisUrl, s3Endpoint, s3Prefix } from './engine-readers.ts';
import { orphanBrake } from './picture-readers.ts';
import { anyText, oneOf, wholeNumber, yesNo } from './readers.ts';
import { optional, withDefault } from './setting.ts';

/** Settings of what lies under Vitrine: the database, the queue and the storage. */
export const engineSettings = {
  databaseUrl: optional('Database', 'DATABASE_URL', databaseUrl, {
    aliases: ['THUMBFORGE_DATABASE_URL'],
    isSecret: true,
    about:
      'A PostgreSQL server, 15 or newer, with pgvector 0.7 or newer. Drivers of other languages in the scheme (`postgresql+asyncpg://`) are left aside. Unset: the embedded PostgreSQL in `DATA_DIR/db`.',
  }),
  postgresHost: optional('Database', 'POSTGRES_HOST', anyText, {
    about:
      'Host of the PostgreSQL server, in place of `DATABASE_URL`. The other `POSTGRES_` settings count only when this one is set.',
  }),
  postgresPort: withDefault('Database', 'POSTGRES_PORT', wholeNumber(1, 65_535), '5432', {
    about: 'Its port.',
  }),
  postgresUser: withDefault('Database', 'POSTGRES_USER', anyText, 'postgres', { about: 'Its user.' }),
  postgresPassword: optional('Database', 'POSTGRES_PASSWORD', anyText, {
    isSecret: true,
    about: 'The password of that user.',
  }),
  postgresDb: optional('Database', 'POSTGRES_DB', anyText, {
    about: 'Its database.',
    fallbackWords: '`POSTGRES_USER`',
  }),
  databasePoolSize: withDefault('Database', 'DATABASE_POOL_SIZE', wholeNumber(2, 1_000), '10', {
    about: 'Connections of one process to the server; one more listens for wake-ups.',
  }),
  databaseConnectSeconds: withDefault('Database', 'DATABASE_CONNECT_SECONDS', wholeNumber(1, 300), '5', {
    about: 'Longest wait for a connection; then a request is answered with 503.',
  }),
  databaseStatementSeconds: withDefault(
    'Database',
    'DATABASE_STATEMENT_SECONDS',
    wholeNumber(1, 3_600),
    '30',
    { about: 'Longest time of one statement; then the server ends it.' },
  ),
  databaseWaitSeconds: withDefault('Database', 'DATABASE_WAIT_SECONDS', wholeNumber(0, 3_600), '60', {
    about: 'A start waits this long for a server that is not there yet.',
  }),
  redisUrl: optional('Queue', 'REDIS_URL', redisUrl, {
    aliases: ['THUMBFORGE_REDIS_URL'],
    isSecret: true,
    about:
      'Redis, 6.2 or newer, that wakes workers up (BullMQ). Jobs stay in the database: losing Redis loses nothing. Only with a PostgreSQL server; unset, that server wakes them up itself.',
  }),
  queueName: withDefault('Queue', 'QUEUE_NAME', anyText, 'vitrine', {
    aliases: ['THUMBFORGE_QUEUE_NAME'],
    about: 'Name of the queue in Redis. Installations that share a Redis need names of their own.',
  }),
  storageType: withDefault('Storage', 'STORAGE_TYPE', oneOf(['local', 's3']), 'local', {
    about: 'Where pictures lie: `local` keeps them on disk, `s3` in a bucket of an S3-compatible store.',
  }),
  storagePath: optional('Storage', 'STORAGE_PATH', anyText, {
    aliases: ['STORAGE_BASE_PATH', 'THUMBFORGE_STORAGE_PATH'],
    about:
      'Folder of the pictures on local disk. Several processes need the same one. Outside `DATA_DIR`, new files get the rights that others have to this folder.',
    fallbackWords: '`DATA_DIR/storage`',
  }),
  s3Bucket: optional('Storage', 'S3_BUCKET', anyText, { about: 'Bucket of the pictures; it must exist.' }),
  s3Region: withDefault('Storage', 'S3_REGION', anyText, 'us-east-1', {
    aliases: ['AWS_REGION', 'AWS_DEFAULT_REGION'],
    about:
      "Region of the bucket. Keys come from AWS's own variables (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`), from its files, or from the role of the machine.",
  }),
  s3Endpoint: optional('Storage', 'S3_ENDPOINT', s3Endpoint, {
    aliases: ['AWS_ENDPOINT_URL_S3', 'AWS_ENDPOINT_URL'],
    about: 'Address of the store.',
    fallbackWords: "AWS's own",
  }),
  s3ForcePathStyle: optional('Storage', 'S3_FORCE_PATH_STYLE', yesNo, {
    about: 'Whether the bucket stands in the path of an address and not in its host name.',
    fallbackWords: '`true` when `S3_ENDPOINT` is set',
  }),
  s3Prefix: withDefault('Storage', 'S3_PREFIX', s3Prefix, '', {
    about: 'What every key begins with, so that several installations share a bucket.',
    fallbackWords: 'none',
  }),
  s3TimeoutSeconds: withDefault('Storage', 'S3_TIMEOUT_SECONDS', wholeNumber(1, 600), '5', {
    about: 'Longest wait for the store: for a connection, for an answer, and between two packets of it.',
  }),
  s3Delivery: withDefault('Storage', 'S3_DELIVERY', oneOf(['stream', 'redirect']), 'stream', {
    about:
      'How pictures leave: `stream` passes them on; `redirect` answers 302 with a presigned address of the store, for originals and for renditions.',
  }),
  s3PresignSeconds: withDefault('Storage', 'S3_PRESIGN_SECONDS', wholeNumber(10, 604_800), '300', {
    about: 'How long a presigned address works.',
  }),
  minFreeDiskMb: withDefault('Storage', 'MIN_FREE_DISK_MB', wholeNumber(0, 1_000_000), '100', {
    about:
      'Uploads are answered with 507 while less than this is free on the disk of the pictures (with S3: of the files that are on their way), in MiB.',
  }),
  orphanBrake: withDefault('Storage', 'ORPHAN_BRAKE', orphanBrake, '5%/10000', {
    about:
      'A sweep stops and reports, and removes nothing, when more than this share of the files, or more than this number, looks orphaned.',
  }),
} as const;
