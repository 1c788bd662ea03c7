import { test } from 'vitest';
import { services } from '../support/services.ts';
import { failBeyondRetries } from './scenarios/s3-beyond-retries.ts';
import { injectS3Faults } from './scenarios/s3.ts';
import { faultRounds } from './support/settings.ts';

const canRun = Boolean(services.databaseUrl && services.s3Endpoint);

test.runIf(canRun)('survives S3 errors, timeouts and aborted responses under load', async () => {
  await injectS3Faults(faultRounds);
});

test.runIf(canRun)('completes jobs that an operator retries after a long S3 failure', async () => {
  await failBeyondRetries();
});
