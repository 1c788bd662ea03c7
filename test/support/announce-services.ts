import { services } from './services.ts';

const wanted = [
  ['TEST_DATABASE_URL', services.databaseUrl, 'PostgreSQL', 'postgres://postgres@127.0.0.1:5432/postgres'],
  ['TEST_REDIS_URL', services.redisUrl, 'Redis', 'redis://127.0.0.1:6379'],
  [
    'TEST_S3_ENDPOINT',
    services.s3Endpoint,
    'an S3-compatible store',
    'http://127.0.0.1:9000 TEST_S3_BUCKET=test',
  ],
] as const;

/** Says before the tests begin which of them are skipped, and how to run them. */
export default function announceServices(): void {
  for (const [variable, value, service, example] of wanted)
    if (!value)
      process.stdout.write(`SKIPPED: tests on ${service}. To run them: ${variable}=${example} npm test\n`);
}
