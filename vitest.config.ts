import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { services } from './test/support/services.ts';

/** Tests that need a server: several connections at once, its restarts, its roles. */
const onServer = ['test/postgres/**/*.test.ts'];

/** Tests of rows and of what stands on them. They run on each database that there is. */
const onEveryDatabase = ['test/db/**/*.test.ts', 'test/services/**/*.test.ts', 'test/worker/**/*.test.ts'];

const embedded = {
  extends: true as const,
  test: { name: 'embedded', include: ['test/**/*.test.ts'], exclude: onServer },
};
const postgres = {
  extends: true as const,
  test: {
    name: 'postgres',
    include: [...onServer, ...onEveryDatabase],
    exclude: ['test/db/engine/embedded.test.ts'],
    env: { TEST_ENGINE: 'postgres' },
  },
};

export default defineConfig({
  test: {
    globalSetup: ['test/support/announce-services.ts'],
    projects: services.databaseUrl ? [embedded, postgres] : [embedded],
    pool: 'forks',
    // Many tests start processes of their own and watch the clock: more of them at once than cores would disturb each other.
    maxWorkers: availableParallelism(),
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Tests of processes, sockets and memory share their machine with others. A test that passes only the second time is
    // listed with its retries; one that fails twice fails.
    retry: 1,
    reporters: ['default'],
    // `npm run coverage`. What runs in processes of its own (commands, decoder children) is not seen by it.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
});
