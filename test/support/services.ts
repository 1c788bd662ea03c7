/* oxlint-disable node/no-process-env -- the only place where tests look for services */

/** Addresses of real services for tests; each is `undefined` when it was not given, and then its tests are skipped. */
export const services = {
  /** A PostgreSQL server on which databases may be created. */
  databaseUrl: process.env['TEST_DATABASE_URL'],
  redisUrl: process.env['TEST_REDIS_URL'],
  /** An S3-compatible store that takes any keys, with path style, and the bucket to use. */
  s3Endpoint: process.env['TEST_S3_ENDPOINT'],
  s3Bucket: process.env['TEST_S3_BUCKET'] ?? 'vitrine-test',
} as const;
