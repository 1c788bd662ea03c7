import { test } from 'vitest';
import { killAndSuspendWorkers } from '../faults/scenarios/workers.ts';
import { services } from '../support/services.ts';
import { isThorough } from '../support/thoroughness.ts';

/** The short version of a fault test. `npm run test:faults` runs the long version. */
test.runIf(services.databaseUrl)(
  'completes all jobs if workers are killed or suspended',
  { tags: 'scenario' },
  async () => {
    await killAndSuspendWorkers(isThorough ? 2 : 1);
  },
);
