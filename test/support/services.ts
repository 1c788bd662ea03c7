/* oxlint-disable node/no-process-env -- tests read the addresses of services only here */

/** Addresses of real services. Tests of a service are skipped if its address is `undefined`. */
export const services = {
  /** A PostgreSQL server on which tests may create databases. */
  databaseUrl: process.env['TEST_DATABASE_URL'],
  redisUrl: process.env['TEST_REDIS_URL'],
  /** An S3-compatible store that accepts any credentials and path-style addresses. */
  s3Endpoint: process.env['TEST_S3_ENDPOINT'],
  s3Bucket: process.env['TEST_S3_BUCKET'] ?? 'vitrine-test',
} as const;
