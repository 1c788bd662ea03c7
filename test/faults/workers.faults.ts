import { test } from 'vitest';
import { services } from '../support/services.ts';
import { killAndSuspendWorkers } from './scenarios/workers.ts';
import { faultRounds } from './support/settings.ts';

test.runIf(services.databaseUrl)("takes over a killed or suspended worker's jobs under load", async () => {
  await killAndSuspendWorkers(faultRounds);
});
