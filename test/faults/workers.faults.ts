import { test } from 'vitest';
import { services } from '../support/services.ts';
import { killAndStopWorkers } from './scenarios/workers.ts';
import { faultRounds } from './support/settings.ts';

test.runIf(services.databaseUrl)('one of two workers is killed or stopped under load', async () => {
  await killAndStopWorkers(faultRounds);
});
