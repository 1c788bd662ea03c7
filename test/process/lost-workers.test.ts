import { test } from 'vitest';
import { killAndStopWorkers } from '../faults/scenarios/workers.ts';
import { services } from '../support/services.ts';
import { isThorough } from '../support/thoroughness.ts';

/** The short version of a fault test. `npm run test:faults` runs the long one. */
test.runIf(services.databaseUrl)(
  'a worker that is killed, and one that is stopped, cost no work',
  async () => {
    await killAndStopWorkers(isThorough ? 2 : 1);
  },
);
