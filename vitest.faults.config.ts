import { defineConfig } from 'vitest/config';

/** Repeated faults under load: `npm run test:faults`. Takes about twenty minutes; `FAULT_ROUNDS=2` is quick. */
export default defineConfig({
  test: {
    globalSetup: ['test/faults/support/announce-faults.ts'],
    include: ['test/faults/**/*.faults.ts'],
    pool: 'forks',
    // Each file kills servers that the others use, and measures times.
    fileParallelism: false,
    // Verifies the documented time limits, without regard to the speed of the machine.
    env: { TEST_TIME_SCALE: '1', TEST_ALL: 'true' },
    testTimeout: 3_600_000,
    hookTimeout: 60_000,
    disableConsoleIntercept: true,
    reporters: ['default'],
  },
});
