import { test } from 'vitest';
import { troubleS3 } from '../faults/scenarios/s3.ts';
import { services } from '../support/services.ts';

/** The short version of a fault test. `npm run test:faults` runs the long one. */
test.runIf(services.databaseUrl && services.s3Endpoint)(
  'an S3 store in trouble costs no work',
  { tags: 'slow' },
  async () => {
    await troubleS3(1);
  },
);
