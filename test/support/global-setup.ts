import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeRunDatabases } from './inner/run-databases.ts';
import { services } from './services.ts';

const serviceVariables = [
  ['TEST_DATABASE_URL', services.databaseUrl, 'PostgreSQL', 'postgres://postgres@127.0.0.1:54329/postgres'],
  ['TEST_REDIS_URL', services.redisUrl, 'Redis', 'redis://127.0.0.1:63799'],
  [
    'TEST_S3_ENDPOINT',
    services.s3Endpoint,
    'an S3-compatible store',
    'http://127.0.0.1:50099 TEST_S3_BUCKET=vitrine-test',
  ],
] as const;

/** Prints which tests are skipped because their service is not configured, and how to run them. */
function announceServices(): void {
  for (const [variable, value, service, example] of serviceVariables)
    if (!value)
      process.stdout.write(
        `SKIPPED: tests that need ${service}. To run them: ${variable}=${example} npm test\n`,
      );
}

/**
 * Runs once before all tests. Creates a folder for the resources that the test files of a Vitest worker share. The
 * teardown removes the folder and the databases that the Vitest workers created on the PostgreSQL server.
 */
export default async function setUp(): Promise<(() => Promise<void>) | undefined> {
  // Every project inherits this file. Only the first project runs the setup.
  if (process.env['TEST_RUN_FOLDER'] !== undefined) return undefined;
  // For single files, Vitest's summary already shows which tests were skipped.
  const isWholeRun = !process.argv.some((argument) => argument.startsWith('test/'));
  if (isWholeRun) announceServices();
  const id = randomBytes(4).toString('hex');
  const folder = await mkdtemp(join(tmpdir(), `vitrine-test-run-${id}-`));
  process.env['TEST_RUN_FOLDER'] = folder;
  process.env['TEST_RUN_ID'] = id;
  return async () => {
    await removeRunDatabases(id);
    await rm(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  };
}
