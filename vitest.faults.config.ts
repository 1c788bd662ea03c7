import { defineConfig } from 'vitest/config';

/** Faults under load, many times each: `npm run test:faults`. Takes some twenty minutes; `FAULT_ROUNDS=2` is quick. */
export default defineConfig({
  test: {
    globalSetup: ['test/faults/support/announce-faults.ts'],
    include: ['test/faults/**/*.faults.ts'],
    pool: 'forks',
    // Each file kills servers that the others need, and measures times.
    fileParallelism: false,
    // Times are held to what the documents promise, and not to the speed of the machine.
    env: { TEST_TIME_SCALE: '1', TEST_ALL: 'true' },
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
    reporters: ['default'],
  },
});
