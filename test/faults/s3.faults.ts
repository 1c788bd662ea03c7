import { test } from 'vitest';
import { services } from '../support/services.ts';
import { outlastRetries } from './scenarios/s3-for-long.ts';
import { troubleS3 } from './scenarios/s3.ts';
import { faultRounds } from './support/settings.ts';

const isPossible = Boolean(services.databaseUrl && services.s3Endpoint);

test.runIf(isPossible)('S3 answers errors, hangs and breaks off under load', async () => {
  await troubleS3(faultRounds);
});

test.runIf(isPossible)('S3 gives nothing for longer than the retries of a job', async () => {
  await outlastRetries();
});
