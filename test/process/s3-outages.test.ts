import { test } from 'vitest';
import { injectS3Faults } from '../faults/scenarios/s3.ts';
import { services } from '../support/services.ts';

/** The short version of a fault test. `npm run test:faults` runs the long version. */
test.runIf(services.databaseUrl && services.s3Endpoint)(
  'completes all jobs despite S3 faults',
  { tags: 'slow' },
  async () => {
    await injectS3Faults(1);
  },
);
