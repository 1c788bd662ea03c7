import { availableParallelism } from 'node:os';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { services } from './test/support/services.ts';
import { measureTimeScale } from './test/support/time-scale.ts';

/** Tests that need a server: several connections at once, its restarts, its roles. */
const onServer = ['test/postgres/**/*.test.ts'];

/** Tests of rows and of what uses them. They run on each database that there is. */
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
    exclude: ['test/db/embedded.test.ts'],
    env: { TEST_ENGINE: 'postgres' },
  },
};

/** One project after the other: a worker is kept for the next file only if that file is of the same project. */
class ByProject extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => one.project.name.localeCompare(other.project.name));
  }
}

const timeScale = measureTimeScale();

export default defineConfig({
  test: {
    globalSetup: ['test/support/global-setup.ts'],
    projects: services.databaseUrl ? [embedded, postgres] : [embedded],
    pool: 'forks',
    // Files of one worker share its modules, its database and its decoders.
    isolate: false,
    sequence: { sequencer: ByProject },
    maxWorkers: availableParallelism(),
    // Only a failure waits as long as this: tests wait for events.
    testTimeout: 40_000 * timeScale,
    hookTimeout: 40_000 * timeScale,
    expect: { poll: { timeout: 15_000 * timeScale } },
    tags: [
      {
        name: 'slow',
        description: 'Long floods, many fault rounds, and examples. `npm run test:all` runs them.',
        timeout: 200_000 * timeScale,
      },
    ],
    env: { TEST_TIME_SCALE: String(timeScale) },
    reporters: ['default'],
    // `npm run coverage`. What runs in processes of its own (commands, decoder children) is not seen by it.
    coverage: { provider: 'v8', include: ['src/**/*.ts'], reporter: ['text', 'html'] },
  },
});
